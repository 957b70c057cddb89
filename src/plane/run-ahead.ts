import type { LogFields, LogLevel } from '../server/server-host.ts'
import { Timer, type TimerWheel } from '../util/timer-wheel.ts'

/** What it needs to know, and whom it tells. */
export interface RunAheadHost {
  readonly timers: TimerWheel
  readonly now: number
  /** Processor time that the plane's thread has used, in milliseconds. */
  readonly cpuMs: number
  /** Ahead of everybody, or as usual again; false: the kernel does not let it. */
  setAhead(isAhead: boolean): boolean
  log(level: LogLevel, message: string, fields: LogFields): void
}

/** How often it is looked at while it is ahead. */
const LOOK_MS = 128
/** It stays ahead for so long after somebody was held back last. */
const LINGER_MS = 1000
/** More of a processor than that, within a look, nobody is to use ahead of everybody else; less than the other, and it may again. */
const TOO_MUCH = 0.6
const LITTLE = 0.3

/**
 * - usual: the plane gets a processor when it is its turn.
 * - ahead: at once, because backends that are held back have something to do. Ends when that was over a second ago, and with
 * - busy: it uses so much of a processor that nobody else on it would get enough. Ends when it uses little.
 * - refused: the kernel does not let it. For good.
 */
type State = 'usual' | 'ahead' | 'busy' | 'refused'

/**
 * Lets the plane run ahead of everybody while others are held back. A transaction of a high tier goes through the plane twice. Between
 * processes of the usual kind the kernel is fair over time only: one that has had its share, for which a few microseconds are enough, waits until
 * the next tick of the clock, 4 ms perhaps, even for one that is held back and owed a little.
 */
export class RunAhead {
  readonly #host: RunAheadHost
  readonly #timer: Timer = new Timer(() => this.#look())
  #state: State = 'usual'
  #heldAt = 0
  #lookedAt = 0
  #cpuMs = 0

  constructor(host: RunAheadHost) {
    this.#host = host
  }

  /** Somebody who is held back has something to do. */
  held(): void {
    this.#heldAt = this.#host.now
    if (this.#state !== 'usual') return
    this.#measure()
    this.#enter('ahead')
    this.#arm()
  }

  #look(): void {
    const share = this.#measure()
    if (this.#host.now - this.#heldAt > LINGER_MS) this.#enter('usual')
    else if (this.#state === 'ahead' && share > TOO_MUCH) this.#enter('busy')
    else if (this.#state === 'busy' && share < LITTLE) this.#enter('ahead')
    this.#arm()
  }

  #arm(): void {
    if (this.#state === 'ahead' || this.#state === 'busy') this.#host.timers.arm(this.#timer, this.#host.now + LOOK_MS)
  }

  /** What it has used of one processor since the last time. */
  #measure(): number {
    const { now, cpuMs } = this.#host
    const share = (cpuMs - this.#cpuMs) / Math.max(now - this.#lookedAt, 1)
    this.#lookedAt = now
    this.#cpuMs = cpuMs
    return share
  }

  #enter(state: State): void {
    const isAhead = state === 'ahead'
    const before = this.#state
    this.#state = state
    if (isAhead === (before === 'ahead') || this.#host.setAhead(isAhead) || !isAhead) return
    this.#state = 'refused'
    this.#host.log(
      'info',
      'while low tiers are held back, the plane gets processors like others: it may not run ahead (CAP_SYS_NICE)',
      {},
    )
  }
}
