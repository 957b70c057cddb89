/** Half of what a bad answer says is forgotten in about this time times 0.7. */
const TAU_MS = 10_000
/** What is nearer to nothing than this is nothing: no clock here is finer. */
const LEAST_MS = 0.05

/**
 * Peak EWMA: follows a rise at once and a fall slowly, so that a shard that has become slow is avoided from its first bad
 * answer on. After Finagle's load balancer of the same name.
 */
export class PeakLatency {
  #value = 0
  #at = 0

  /** Returns what is believed now. */
  observe(milliseconds: number, now: number): number {
    const passed = now - this.#at
    const weight = passed > 0 ? Math.exp(-passed / TAU_MS) : 1
    const decayed = Math.max(LEAST_MS, this.#value * weight)
    this.#value = milliseconds > decayed ? milliseconds : decayed * weight + milliseconds * (1 - weight)
    this.#at = now
    return Math.max(LEAST_MS, this.#value)
  }

  /** Without news it sinks, so that a shard that nobody asks any more gets another chance. */
  at(now: number): number {
    return Math.max(LEAST_MS, this.#value * Math.exp(-Math.max(0, now - this.#at) / TAU_MS))
  }
}
