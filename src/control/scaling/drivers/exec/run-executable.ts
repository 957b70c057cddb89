import { spawn } from 'node:child_process'

/** How a program ended, and what it wrote. */
export interface ExecutableResult {
  /** Null: it was ended by a signal, its time being over for example. */
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A program that is run for at most so long; `signal` ends it earlier. */
export interface ExecutableOptions {
  readonly program: string
  readonly timeoutMs: number
  readonly signal?: AbortSignal
}

/** More than that is no answer, and no reason either. */
const MOST_OUTPUT = 1_000_000

/**
 * Runs a program with `input` on its standard input, and waits for its end. It has a process group of its own, all of which
 * is killed when its time is over or `signal` is aborted: what a script has started would keep its output open otherwise.
 * Rejects when it cannot be run.
 */
export function runExecutable(options: ExecutableOptions, input: string): Promise<ExecutableResult> {
  const { program, timeoutMs, signal } = options
  return new Promise((resolve, reject) => {
    const child = spawn(program, [], { stdio: ['pipe', 'pipe', 'pipe'], detached: true })
    const kill = (): void => killGroup(child.pid)
    const timer = setTimeout(kill, timeoutMs)
    signal?.addEventListener('abort', kill)
    if (signal?.aborted === true) kill()
    const settled = (): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', kill)
    }
    const written = { stdout: '', stderr: '' }
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (text: string) => {
        if (written[name].length < MOST_OUTPUT) written[name] += text
      })
    }
    child.once('error', (error) => {
      settled()
      reject(error)
    })
    child.once('close', (status) => {
      settled()
      resolve({ status, ...written })
    })
    // One that does not read is none of our business.
    child.stdin.on('error', () => {})
    child.stdin.end(input)
  })
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // It has ended by itself.
  }
}
