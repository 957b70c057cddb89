import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { type RestartCommand, restartFile } from '../memory/run-directory.ts'

/** Where children of the keeper have standard output and error from. */
const INHERITED = ['ignore', 'inherit', 'inherit'] as const

/**
 * Starts a keeper in place of the one of this run directory, which has died; false when that is somebody else's business. Should
 * several do so, the first one to lock the data directory is the keeper, and the others end.
 */
export function restartKeeper(
  runDirectory: string,
  environment: Readonly<Record<string, string | undefined>>,
): boolean {
  let restart: RestartCommand
  try {
    restart = JSON.parse(readFileSync(restartFile(runDirectory), 'utf8'))
  } catch {
    return false
  }
  const [program, ...parameters] = restart.command
  const keeper = spawn(program, parameters, {
    detached: true,
    cwd: restart.directory,
    env: environment,
    stdio: [...INHERITED],
  })
  keeper.on('error', () => {})
  keeper.unref()
  return true
}
