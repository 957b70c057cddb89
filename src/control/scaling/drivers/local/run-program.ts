import { spawn } from 'node:child_process'
import { LocalClusterError, reasonOf } from './local-cluster-error.ts'
import { type ServerAccount, spawnIdentity } from './server-account.ts'

/**
 * What PostgreSQL's programs get to see of the environment: nothing of the caller's. A bogus LANG makes initdb
 * fail, LD_LIBRARY_PATH swaps libraries, PGDATA and PGOPTIONS change what runs.
 */
export const cleanEnvironment: Readonly<Record<string, string>> = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  LC_ALL: 'C',
}

/** How a program ended, and what it said. */
export interface ProgramResult {
  /** Exit status; null when a signal ended it. */
  readonly status: number | null
  readonly signal: string | null
  readonly stdout: string
  readonly stderr: string
}

/** Most that is kept of each output stream, in characters. */
const outputLimit = 64 * 1024

/**
 * Runs a short program to its end as `account`, from `/`, with `cleanEnvironment`. A program that exits with a
 * status other than 0 is a result, not an error.
 *
 * @throws LocalClusterError when it cannot be executed at all (missing, no permission) or outlives `timeoutMs`
 * @throws the reason of `signal` when it is aborted; the program is killed
 */
export function runProgram(
  path: string,
  args: readonly string[],
  options: { account: ServerAccount; timeoutMs: number; signal?: AbortSignal | undefined },
): Promise<ProgramResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(path, args, {
      cwd: '/',
      env: { ...cleanEnvironment },
      stdio: ['ignore', 'pipe', 'pipe'],
      killSignal: 'SIGKILL',
      ...(options.signal === undefined ? {} : { signal: options.signal }),
      ...spawnIdentity(options.account),
    })
    // Not spawn's own timeout: its timer goes on, and keeps this process alive, when the program cannot be executed.
    let timedOut = false
    const timer = setTimeout(() => {
      timedOut = child.kill('SIGKILL')
    }, options.timeoutMs)
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      if (stdout.length < outputLimit) stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      if (stderr.length < outputLimit) stderr += text
    })
    child.once('error', (error) => {
      clearTimeout(timer)
      const message = `${path} cannot be run as ${options.account.name}: ${reasonOf(error)}.`
      reject(
        options.signal?.aborted === true ? options.signal.reason : new LocalClusterError(message, { cause: error }),
      )
    })
    child.once('close', (status, signal) => {
      clearTimeout(timer)
      if (timedOut) {
        reject(new LocalClusterError(`${path} did not end within ${options.timeoutMs / 1000} s and was killed.`))
      } else {
        resolve({ status, signal, stdout, stderr })
      }
    })
  })
}
