import { badArgument } from '../arguments.ts'
import type { ActionCommand } from '../command.ts'

export const upgrade: ActionCommand = {
  kind: 'action',
  name: 'UPGRADE',
  argument: "['path']",
  summary:
    'Give all work to the version that is on disk now, or to the program at the path; answers when that has begun. SHOW STATE tells how it goes.',
  prepare(argument) {
    const [path, ...rest] = argument
    if (rest.length > 0 || (path !== undefined && path.kind !== 'string' && path.kind !== 'quoted')) {
      throw badArgument('UPGRADE', "UPGRADE takes the path of a program in quotes ('/opt/switchyard/…'), or nothing.")
    }
    const program = path?.value ?? null
    return async ({ control }) => [await control.upgrade(program)]
  },
}
