import { openProcess, reapChild, signalProcess } from '../io/foreign-process.ts'
import type { OwnedFd } from '../io/owned-fd.ts'
import { type Poller, READABLE } from '../io/poller.ts'

const SIGKILL = 9

type ExitListener = (code: number | null, signal: NodeJS.Signals | null) => void

/** A process whose end is heard of: a child of Node's, or one that an earlier keeper started. */
export interface ProcessHandle {
  readonly pid?: number | undefined
  kill(signal: 'SIGKILL'): boolean
  /** Could not be started. */
  on(event: 'error', listener: (error: Error) => void): unknown
  /** It has ended, and has no descriptor any more. Neither code nor signal: nobody knows how. */
  once(event: 'exit', listener: ExitListener): unknown
}

/**
 * A process that an earlier keeper started. Its end shows at a descriptor of it; how it ended shows only where this is the same
 * process as that keeper, with another program.
 */
export class ForeignProcess implements ProcessHandle {
  readonly pid: number
  readonly #poller: Poller
  readonly #fd: OwnedFd
  readonly #key: number
  readonly #listeners: ExitListener[] = []

  /** Throws `SystemError` when there is no such process. */
  constructor(pid: number, poller: Poller) {
    this.pid = pid
    this.#poller = poller
    this.#fd = openProcess(pid)
    this.#key = poller.add(this.#fd, READABLE, { onReady: () => this.#onEnded() })
  }

  kill(_signal: 'SIGKILL'): boolean {
    return !this.#fd.closed && signalProcess(this.#fd, SIGKILL)
  }

  on(): this {
    return this
  }

  once(event: 'exit' | 'error', listener: ExitListener | ((error: Error) => void)): this {
    if (event === 'exit') this.#listeners.push(listener as ExitListener)
    return this
  }

  #onEnded(): void {
    this.#poller.remove(this.#key, this.#fd)
    this.#fd.close()
    const end = reapChild(this.pid)
    const signal = end !== null && end.signal !== 0 ? (SIGNALS[end.signal] ?? 'SIGABRT') : null
    for (const listener of this.#listeners.splice(0)) listener(end?.code ?? null, signal)
  }
}

/** Those that say who ended it. */
const SIGNALS: Readonly<Record<number, NodeJS.Signals>> = {
  1: 'SIGHUP',
  2: 'SIGINT',
  6: 'SIGABRT',
  7: 'SIGBUS',
  9: 'SIGKILL',
  11: 'SIGSEGV',
  15: 'SIGTERM',
}
