import { optionalDatabase, requireDatabase } from '../arguments.ts'
import type { ActionCommand } from '../command.ts'

export const kill: ActionCommand = {
  kind: 'action',
  name: 'KILL',
  argument: '[database]',
  summary: 'Close clients and server connections at once; new clients wait until RESUME.',
  prepare(argument) {
    const database = optionalDatabase('KILL', argument)
    return async ({ control }) => {
      requireDatabase(control.values(), database)
      await control.kill(database)
      return []
    }
  },
}
