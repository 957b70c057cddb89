import type { PoolWaiter } from '../server/pool-waiter.ts'
import { Fifo } from '../util/fifo.ts'
import { Timer, type TimerWheel } from '../util/timer-wheel.ts'

/** What waiting needs of its plane. */
interface WaitHost {
  readonly timers: TimerWheel
  readonly now: number
}

/**
 * Reads that wait for a replica to have what their sessions have written. Each is asked again at every tick of the plane's
 * timers, as control writes the replicas' progress to shared memory and tells nobody; how long it waits is its own affair.
 */
export class ReplicaWaits {
  readonly #host: WaitHost
  #waiting = new Fifo<PoolWaiter>()
  readonly #timer: Timer = new Timer(() => this.#look())

  constructor(host: WaitHost) {
    this.#host = host
  }

  get length(): number {
    return this.#waiting.length
  }

  /** `requeue` of it follows, again and again as long as it comes back. */
  wait(waiter: PoolWaiter): void {
    this.#waiting.push(waiter)
    if (!this.#timer.armed) this.#host.timers.arm(this.#timer, this.#host.now + 1)
  }

  #look(): void {
    // Whoever has to wait on gets in line behind those who are there now.
    for (let left = this.#waiting.length; left > 0; left--) this.#waiting.shift()?.requeue()
  }
}
