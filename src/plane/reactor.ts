import type { Poller } from '../io/poller.ts'
import type { TimerWheel } from '../util/timer-wheel.ts'

const TICK_MS = 1000

export interface ReactorHooks {
  /** The time of this wake-up, monotonic milliseconds: said before anything else. */
  wake(now: number): void
  /** After each event, and after the timers. */
  afterEvent(): void
  /** After all events and timers of a wake-up. */
  settle(): void
  /** Once a second. */
  tick(now: number): void
  /** Something threw that is no connection's: those close by themselves. */
  fault(error: unknown): void
}

/** Waits, serves what is ready, fires what is due; for ever, or until `stop`. Nothing in it waits for anything else. */
export class Reactor {
  readonly #poller: Poller
  readonly #timers: TimerWheel
  readonly #clock: () => number
  readonly #hooks: ReactorHooks
  readonly #afterEvent: () => void
  #stopped = false
  #now = 0
  /** −1 before the first wake-up. */
  #tickAt = -1

  constructor(poller: Poller, timers: TimerWheel, clock: () => number, hooks: ReactorHooks) {
    this.#poller = poller
    this.#timers = timers
    this.#clock = clock
    this.#hooks = hooks
    this.#afterEvent = () => hooks.afterEvent()
  }

  stop(): void {
    this.#stopped = true
  }

  /** The first tick is due so much later, and not at once: others have waited for long. Before the first turn. */
  putTickOff(milliseconds: number): void {
    this.#now = this.#clock()
    this.#tickAt = this.#now + milliseconds
    this.#hooks.wake(this.#now)
  }

  run(): void {
    while (!this.#stopped) this.turn(Number.POSITIVE_INFINITY)
  }

  /** One wake-up, after at most `mostMs` of sleep. */
  turn(mostMs: number): void {
    if (this.#tickAt < 0) {
      this.#now = this.#clock()
      this.#tickAt = this.#now
      this.#hooks.wake(this.#now)
    }
    const sleep = this.#timers.sleepMs(this.#now, Math.max(0, this.#tickAt - this.#now))
    const ready = this.#poller.wait(Math.min(sleep, mostMs))
    const now = this.#clock()
    this.#now = now
    this.#hooks.wake(now)
    try {
      this.#poller.dispatch(ready, this.#afterEvent)
    } catch (error) {
      // Events that were not served are told again.
      this.#hooks.fault(error)
    }
    try {
      this.#timers.advance(now)
      if (now >= this.#tickAt) {
        this.#tickAt = now + TICK_MS
        this.#hooks.tick(now)
      }
    } catch (error) {
      this.#hooks.fault(error)
    }
    this.#hooks.afterEvent()
    this.#hooks.settle()
  }
}
