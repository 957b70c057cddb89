import { userInfo } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Environment } from '../config/environment.ts'
import { LocalConsole } from './local-console.ts'
import { type RouterPlace, runDirectoryOf } from './run-directory.ts'

/** How often the progress of an operation is looked at. */
const LOOK_EVERY_MS = 100

/** An operation on shards, as one would give it at the console. */
export interface Operation {
  readonly command: 'RESTART' | 'DRAIN' | 'UNDRAIN' | 'SWITCHOVER' | 'PATCH' | 'SCALE OUT' | 'SCALE IN'
  /** Of a shard, a group or a pool; null: none is named. */
  readonly name: string | null
  /** A shard, or a directory of programs; null: none is named. */
  readonly to: string | null
  readonly isDryRun: boolean
}

/** The command that the console understands. */
export function consoleCommand({ command, name, to, isDryRun }: Operation): string {
  const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`
  return `${command}${name === null ? '' : ` ${quoted(name)}`}${to === null ? '' : ` TO ${quoted(to)}`}${isDryRun ? ' DRY RUN' : ''}`
}

/**
 * `switchyard restart` and its kin: gives a running router the command and tells each step. Returns the exit code: 0 when it
 * is done, 1 when not. Throws ConfigError when there is no router.
 */
export async function operate(
  operation: Operation,
  place: RouterPlace,
  environment: Environment,
  write: (text: string) => void,
): Promise<number> {
  const path = join(runDirectoryOf(place, environment), 'console.sock')
  const { username } = userInfo()
  const [giver, watcher] = [await LocalConsole.open(path, username), await LocalConsole.open(path, username)]
  try {
    let isOver = false
    const answer = giver.run(consoleCommand(operation)).finally(() => {
      isOver = true
    })
    if (!operation.isDryRun) await tellSteps(watcher, () => isOver, write)
    const { notices, error } = await answer
    for (const notice of notices) write(`${notice}\n`)
    if (error !== null) write(`${error.message}${error.hint === undefined ? '' : ` ${error.hint}`}\n`)
    return error === null ? 0 : 1
  } finally {
    giver.close()
    watcher.close()
  }
}

async function tellSteps(console: LocalConsole, isOver: () => boolean, write: (text: string) => void): Promise<void> {
  let told = ''
  while (!isOver()) {
    const newest = (await console.run('SHOW OPERATIONS')).rows[0]
    const step = newest?.state === 'running' ? (newest.step ?? '') : ''
    if (step !== '' && step !== told) write(`${step}\n`)
    told = step
    await delay(LOOK_EVERY_MS)
  }
}
