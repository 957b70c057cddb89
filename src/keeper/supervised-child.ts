import type { ChildProcess } from 'node:child_process'
import type { Logger } from '../log.ts'
import { neverStarted, type RespawnRecord, respawnVerdict } from './respawn.ts'

/**
 * One child process of the keeper, over all its lives.
 *
 * - idle: not started yet. `start` spawns.
 * - starting: spawned. `ready` when it says so, or it dies.
 * - running: it serves.
 * - waiting: it died and its successor is due in a moment.
 * - stopping: asked to end; its death is final.
 * - ended: reaped, no successor.
 */
export type ChildState = 'idle' | 'starting' | 'running' | 'waiting' | 'stopping' | 'ended'

const next: Record<ChildState, readonly ChildState[]> = {
  idle: ['starting', 'ended'],
  starting: ['running', 'waiting', 'stopping', 'ended'],
  running: ['waiting', 'stopping'],
  waiting: ['starting', 'ended'],
  stopping: ['ended'],
  ended: [],
}

export interface ChildHooks {
  /** Starts one life. Its channels belong to the caller. */
  spawn(): ChildProcess
  /** This life is over and reaped: nobody else holds its descriptors. */
  died(description: string): void
  /** It never came up; there is no use in trying on. */
  gaveUp(description: string): void
  /** Reaped for good. */
  ended(): void
}

export interface ChildOptions {
  /** For people: `plane 0`. */
  readonly name: string
  readonly hooks: ChildHooks
  readonly log: Logger
  /** Monotonic milliseconds. */
  readonly now: () => number
}

/** Spawns a child, and its successor when it dies, with back-off. Reaps every process it started. */
export class SupervisedChild {
  readonly #options: ChildOptions
  #state: ChildState = 'idle'
  #record: RespawnRecord = neverStarted
  #process: ChildProcess | null = null
  #readySince: number | null = null
  #timer: NodeJS.Timeout | null = null

  constructor(options: ChildOptions) {
    this.#options = options
  }

  get state(): ChildState {
    return this.#state
  }

  get pid(): number | null {
    return this.#process?.pid ?? null
  }

  start(): void {
    this.#enter('starting')
    this.#timer = null
    this.#readySince = null
    const child = this.#options.hooks.spawn()
    this.#process = child
    child.on('error', (error) => {
      // Also emitted for a signal that could not be sent; then the child lives on.
      if (child.pid === undefined) this.#onGone(child, `could not be started: ${error.message}`)
    })
    child.once('exit', (code, signal) => this.#onGone(child, describeExit(code, signal)))
    this.#options.log.debug({ child: this.#options.name, childPid: child.pid }, `${this.#options.name} started`)
  }

  /** It serves. */
  ready(): void {
    if (this.#state !== 'starting') return
    this.#readySince = this.#options.now()
    this.#enter('running')
  }

  /** Its death is wanted from now on, and final. The caller has asked it to end, or calls `kill`. */
  stop(): void {
    if (this.#state === 'idle' || this.#state === 'waiting') {
      if (this.#timer !== null) clearTimeout(this.#timer)
      this.#enter('ended')
      this.#options.hooks.ended()
    } else if (this.#state === 'starting' || this.#state === 'running') {
      this.#enter('stopping')
    }
  }

  /** Ends this life at once. */
  kill(): void {
    this.#process?.kill('SIGKILL')
  }

  #onGone(child: ChildProcess, description: string): void {
    if (this.#process !== child) return
    const { hooks, log, name, now } = this.#options
    this.#process = null
    hooks.died(description)
    if (this.#state === 'stopping') {
      this.#enter('ended')
      hooks.ended()
      return
    }
    const verdict = respawnVerdict(this.#record, this.#readySince === null ? null : now() - this.#readySince)
    this.#record = verdict.record
    if (verdict.action === 'give-up') {
      this.#enter('ended')
      hooks.gaveUp(description)
      hooks.ended()
      return
    }
    log.error(
      { child: name, childPid: child.pid, delayMs: verdict.delayMs },
      `${name} ${description}; another one starts ${verdict.delayMs === 0 ? 'now' : `in ${verdict.delayMs} ms`}`,
    )
    this.#enter('waiting')
    this.#timer = setTimeout(() => this.start(), verdict.delayMs)
  }

  #enter(state: ChildState): void {
    if (!next[this.#state].includes(state)) throw new Error(`${this.#options.name}: ${state} while ${this.#state}`)
    this.#state = state
  }
}

function describeExit(code: number | null, signal: NodeJS.Signals | null): string {
  return signal === null ? `exited with code ${code}` : `was killed by ${signal}`
}
