import type { OwnedFd } from '../io/owned-fd.ts'
import { Timer, type TimerWheel } from '../util/timer-wheel.ts'

const DIAL_EVERY_MS = 50
/** By then whoever should have started a keeper has not. */
const HELP_AFTER_MS = 3_000

export interface KeeperSearchHost {
  readonly now: number
  readonly timers: TimerWheel
  /** Null: nobody listens there yet. */
  dial(): OwnedFd | null
  found(channel: OwnedFd): void
  /** Nobody has started a keeper for so long: somebody should. Told again and again. */
  help(): void
}

/** Looks for the keeper after this one, for as long as it takes: everything but new clients goes on meanwhile. */
export class KeeperSearch {
  readonly #host: KeeperSearchHost
  readonly #timer: Timer
  #helpAt = 0

  constructor(host: KeeperSearchHost) {
    this.#host = host
    this.#timer = new Timer(() => this.#look())
  }

  start(): void {
    this.#helpAt = this.#host.now + HELP_AFTER_MS
    this.#look()
  }

  #look(): void {
    const host = this.#host
    const channel = host.dial()
    if (channel !== null) {
      host.found(channel)
      return
    }
    if (host.now >= this.#helpAt) {
      this.#helpAt = host.now + HELP_AFTER_MS
      host.help()
    }
    host.timers.arm(this.#timer, host.now + DIAL_EVERY_MS)
  }
}
