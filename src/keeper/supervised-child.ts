import type { Logger } from '../log.ts'
import type { ProcessHandle } from './process-handle.ts'
import { neverStarted, type RespawnRecord, respawnVerdict } from './respawn.ts'

/**
 * One child process of the keeper, over all its lives.
 *
 * - idle: not started, or taken by somebody else. `start` spawns.
 * - starting: spawned. `ready` when it says so, or it dies.
 * - running: it serves.
 * - waiting: it died and its successor is due in a moment.
 * - releasing: asked to make room; its death is no failure, and its successor starts at once.
 * - stopping: asked to end; its death is final.
 * - ended: reaped, no successor.
 */
export type ChildState = 'idle' | 'starting' | 'running' | 'waiting' | 'releasing' | 'stopping' | 'ended'

const next: Record<ChildState, readonly ChildState[]> = {
  idle: ['starting', 'ended'],
  starting: ['running', 'waiting', 'stopping', 'ended', 'idle'],
  running: ['waiting', 'releasing', 'stopping', 'idle'],
  waiting: ['starting', 'ended', 'idle'],
  releasing: ['starting', 'stopping'],
  stopping: ['ended'],
  ended: [],
}

/** How a life ended. */
export interface Ending {
  /** For people: `was killed by SIGKILL`. */
  readonly description: string
  /** Its own doing: an exit code, a fault. Not when somebody else killed it, or it was asked to end. */
  readonly isCrash: boolean
}

/** What a supervised process is, beside its being supervised. */
export interface ChildHooks {
  /** Starts one life, or provides one that was started before. Its channels belong to the caller. */
  spawn(): ProcessHandle
  /** This life is over and reaped: nobody else holds its descriptors. */
  died(ending: Ending): void
  /** It never came up; there is no use in trying on. */
  gaveUp(description: string): void
  /** Reaped for good. */
  ended(): void
  /** The state is another one now. */
  changed?(): void
}

/** Whom to supervise, and how patiently. */
export interface ChildOptions {
  /** For people: `plane 0`. */
  readonly name: string
  readonly hooks: ChildHooks
  /** How often it may fail to come up at first; by default, as `respawnVerdict` says. */
  readonly attempts?: number
  readonly log: Logger
  /** Monotonic milliseconds. */
  readonly now: () => number
}

/**
 * Who has made room is ended so much later: to take a process apart costs the kernel some tens of milliseconds of a processor, and
 * its successor needs them first.
 */
const LINGER_MS = 1000

/** Spawns a child, and its successor when it dies, with back-off. Reaps every process it started. */
export class SupervisedChild {
  readonly #options: ChildOptions
  #state: ChildState = 'idle'
  #record: RespawnRecord = neverStarted
  #process: ProcessHandle | null = null
  #readySince: number | null = null
  #timer: NodeJS.Timeout | null = null
  /** Has made room, and does nothing any more. */
  #idle: { readonly child: ProcessHandle; readonly timer: NodeJS.Timeout } | null = null

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
    const child = this.#spawn()
    if (child === null) return
    this.#process = child
    child.on('error', (error) => {
      // Also emitted for a signal that could not be sent; then the child lives on.
      if (child.pid === undefined) {
        this.#onGone(child, { description: `could not be started: ${error.message}`, isCrash: false })
      }
    })
    child.once('exit', (code, signal) => this.#onGone(child, endingOf(code, signal)))
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
    this.#endIdle()
    if (this.#state === 'idle' || this.#state === 'waiting') {
      if (this.#timer !== null) clearTimeout(this.#timer)
      this.#enter('ended')
      this.#options.hooks.ended()
    } else if (this.#state === 'starting' || this.#state === 'running' || this.#state === 'releasing') {
      this.#enter('stopping')
    }
  }

  /** It runs, and is asked by the caller to end: its successor starts as soon as it has. */
  release(): void {
    this.#enter('releasing')
  }

  /**
   * It was asked to make room, and says that it touches nothing any more: its life is over, and its process ended later. Does
   * nothing in any other state.
   */
  released(): void {
    const child = this.#process
    if (this.#state !== 'releasing' || child === null) return
    this.#process = null
    this.#endIdle()
    const timer = setTimeout(() => this.#endIdle(), LINGER_MS)
    this.#idle = { child, timer }
    this.#over({ description: 'has made room', isCrash: false }, child.pid ?? null)
  }

  /** From here on this life is the caller's, who has its process already; `start` begins another one. */
  giveAway(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    this.#process = null
    if (this.#state !== 'idle') this.#enter('idle')
  }

  #endIdle(): void {
    if (this.#idle === null) return
    clearTimeout(this.#idle.timer)
    this.#idle.child.kill('SIGKILL')
    this.#idle = null
  }

  /** Ends this life at once. */
  kill(): void {
    this.#endIdle()
    this.#process?.kill('SIGKILL')
  }

  /** Null when that is not possible now, for want of descriptors say; then it counts as a death. */
  #spawn(): ProcessHandle | null {
    try {
      return this.#options.hooks.spawn()
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      this.#over({ description: `could not be started: ${reason}`, isCrash: false }, null)
      return null
    }
  }

  #onGone(child: ProcessHandle, ending: Ending): void {
    if (this.#process !== child) return
    this.#process = null
    this.#over(ending, child.pid ?? null)
  }

  #over(ending: Ending, childPid: number | null): void {
    const { hooks, log, name, now, attempts } = this.#options
    const { description } = ending
    hooks.died(ending)
    if (this.#state === 'releasing') {
      this.start()
      return
    }
    if (this.#state === 'stopping') {
      this.#enter('ended')
      hooks.ended()
      return
    }
    const readyMs = this.#readySince === null ? null : now() - this.#readySince
    const verdict = respawnVerdict(this.#record, { readyMs, isCrash: ending.isCrash }, attempts)
    this.#record = verdict.record
    if (verdict.action === 'give-up') {
      this.#enter('ended')
      hooks.gaveUp(description)
      hooks.ended()
      return
    }
    log.error(
      { child: name, childPid, delayMs: verdict.delayMs },
      `${name} ${description}; another one starts ${verdict.delayMs === 0 ? 'now' : `in ${verdict.delayMs} ms`}`,
    )
    this.#enter('waiting')
    this.#timer = setTimeout(() => this.start(), verdict.delayMs)
  }

  #enter(state: ChildState): void {
    if (!next[this.#state].includes(state)) throw new Error(`${this.#options.name}: ${state} while ${this.#state}`)
    this.#state = state
    this.#options.hooks.changed?.()
  }
}

/** What somebody else sends to end a process, the kernel included when memory is short. */
const FOREIGN_SIGNALS: readonly (NodeJS.Signals | null)[] = ['SIGKILL', 'SIGTERM', 'SIGINT', 'SIGHUP']

function endingOf(code: number | null, signal: NodeJS.Signals | null): Ending {
  if (signal === null && code === null) return { description: 'has ended', isCrash: false }
  if (signal === null) return { description: `exited with code ${code}`, isCrash: code !== 0 }
  return { description: `was killed by ${signal}`, isCrash: !FOREIGN_SIGNALS.includes(signal) }
}
