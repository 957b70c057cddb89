import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname } from 'node:path'
import { type Cleanup, signalProcess, until } from './cleanup.ts'

export interface DaemonOptions {
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  readonly logFile: string
  readonly env?: NodeJS.ProcessEnv
  readonly cwd?: string
  readonly uid?: number
  readonly gid?: number
  readonly stopSignal?: NodeJS.Signals
  /** Whom to kill when the benchmark ends without stopping it properly; default: the process itself. */
  readonly processes?: (pid: number) => number[]
}

/** A server process that was started for a benchmark, with its output in a file. Owned by the `Cleanup` it was given. */
export class Daemon {
  readonly pid: number
  readonly stop: () => Promise<void>
  readonly #options: DaemonOptions
  readonly #child: ChildProcess

  private constructor(options: DaemonOptions, child: ChildProcess, pid: number, cleanup: Cleanup) {
    this.#options = options
    this.#child = child
    this.pid = pid
    this.stop = cleanup.add(
      options.name,
      () => this.#stop(),
      () => {
        for (const id of this.processes()) signalProcess(id, 'SIGKILL')
      },
    )
  }

  /** Starts the process. Rejects when it cannot be executed. */
  static async start(options: DaemonOptions, cleanup: Cleanup): Promise<Daemon> {
    mkdirSync(dirname(options.logFile), { recursive: true })
    const log = openSync(options.logFile, 'a')
    try {
      const child = spawn(options.command, options.args, {
        stdio: ['ignore', log, log],
        // Ctrl-C is for the benchmark, which stops its children in order: a group of their own does not get it.
        detached: true,
        ...(options.env === undefined ? {} : { env: options.env }),
        ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
        ...(options.uid === undefined ? {} : { uid: options.uid }),
        ...(options.gid === undefined ? {} : { gid: options.gid }),
      })
      await once(child, 'spawn')
      if (child.pid === undefined) throw new Error(`${options.name} has no process id`)
      return new Daemon(options, child, child.pid, cleanup)
    } finally {
      closeSync(log)
    }
  }

  /** It and whatever it started. */
  processes(): number[] {
    return this.#options.processes?.(this.pid) ?? (this.#exited ? [] : [this.pid])
  }

  /** Polls `ready`, which may reject while it is not, for up to `timeoutMs`. Rejects with the end of the log when it exits. */
  async untilReady(ready: () => Promise<void>, timeoutMs: number, signal: AbortSignal): Promise<void> {
    let last = ''
    const attempt = async (): Promise<boolean> => {
      if (this.#exited) throw new Error(`${this.#options.name} ended at once:\n${this.logTail()}`)
      try {
        await ready()
        return true
      } catch (error) {
        last = error instanceof Error ? error.message : String(error)
        return false
      }
    }
    try {
      await until(`${this.#options.name} answering`, attempt, { timeoutMs, everyMs: 50, signal })
    } catch (error) {
      signal.throwIfAborted()
      if (this.#exited) throw error
      throw new Error(`${error instanceof Error ? error.message : error}; last answer: ${last}\n${this.logTail()}`)
    }
  }

  /** The last lines it wrote. */
  logTail(lines = 15): string {
    return readFileSync(this.#options.logFile, 'utf8').trimEnd().split('\n').slice(-lines).join('\n')
  }

  get #exited(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  async #stop(): Promise<void> {
    if (!this.#exited) signalProcess(this.pid, this.#options.stopSignal ?? 'SIGTERM')
    await until(`the end of ${this.#options.name}`, () => this.#exited && this.processes().length === 0, {
      timeoutMs: 20_000,
    })
  }
}

/** A TCP port of the loopback interface that nobody listens on at the moment. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('a listening TCP socket has no port')
  return address.port
}
