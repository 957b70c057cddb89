import type { AdmissionPolicy } from '../shard/policy.ts'
import { TIERS } from '../shard/tier.ts'

const COUNT = TIERS.length
/** Decisions are this far apart, and rest on so many answers at least. */
const WINDOW_MS = 200
const LEAST_SAMPLES = 8
/** A tier that has asked nothing for so long needs no protection. */
const QUIET_MS = 2000
/** What is left of the allowance when it is too much. */
const DECREASE = 0.7
/** The best latency that was ever seen is believed this much less with each window. */
const DRIFT = 1.0002
/** Latencies below this are all the same: the clock and the network are no finer. */
const FLOOR_MS = 0.5

/**
 * How many slots of a shard the lower tiers may have while a higher one is at work there (additive increase,
 * multiplicative decrease): one more after each window in which the highest tier at work was answered about as fast as
 * at best, and fewer by a third when it took more than `tolerance` times as long. Nobody to protect: no limit.
 */
export class AdaptiveLimit {
  #isOn = false
  #min = 1
  #limit = 0
  #tolerance = 2
  #allowance = 0
  #windowAt = Number.NEGATIVE_INFINITY
  readonly #sums = new Float64Array(COUNT)
  readonly #counts = new Int32Array(COUNT)
  readonly #best = new Float64Array(COUNT).fill(Number.POSITIVE_INFINITY)
  readonly #seenAt = new Float64Array(COUNT).fill(Number.NEGATIVE_INFINITY)
  /** The highest tier at work. */
  #top = COUNT - 1

  configure({ limit, minSlots, tolerance }: AdmissionPolicy, slots: number): void {
    this.#isOn = limit === 'adaptive'
    this.#min = Math.min(minSlots, slots)
    this.#limit = slots
    this.#tolerance = tolerance
    if (this.#allowance === 0) this.#allowance = slots
    this.#allowance = this.#bounded(this.#allowance)
  }

  /** Slots that all tiers below the highest one at work may have, each. */
  get allowance(): number {
    return this.#isOn ? this.#allowance : this.#limit
  }

  /** Most slots for a tier at the moment. */
  most(tier: number): number {
    return !this.#isOn || tier <= this.#top ? this.#limit : this.#allowance
  }

  /** A query of the tier took so long. `held`: slots by tier. True: `most` may say something else now. */
  observe(tier: number, milliseconds: number, now: number, held: ArrayLike<number>): boolean {
    if (!this.#isOn) return false
    this.#sums[tier] = (this.#sums[tier] ?? 0) + Math.max(FLOOR_MS, milliseconds)
    this.#counts[tier] = (this.#counts[tier] ?? 0) + 1
    this.#seenAt[tier] = now
    if (now - this.#windowAt < WINDOW_MS) return false
    return this.#decide(now, held)
  }

  #decide(now: number, held: ArrayLike<number>): boolean {
    const top = this.#highestAtWork(now)
    const before = this.#allowance
    const hadTop = this.#top
    const count = this.#counts[top] ?? 0
    // Too little to go by, but not for ever.
    if (count < LEAST_SAMPLES && now - this.#windowAt < QUIET_MS) return false
    this.#windowAt = now
    this.#top = top
    if (count > 0) this.#judge(top, (this.#sums[top] ?? 0) / count, held)
    this.#sums.fill(0)
    this.#counts.fill(0)
    return before !== this.#allowance || hadTop !== top
  }

  #judge(top: number, mean: number, held: ArrayLike<number>): void {
    const best = Math.min(mean, (this.#best[top] ?? Number.POSITIVE_INFINITY) * DRIFT)
    this.#best[top] = best
    let others = 0
    for (let tier = top + 1; tier < COUNT; tier++) others = Math.max(others, held[tier] ?? 0)
    // What lower tiers do not use is not what makes it slow.
    if (mean > best * this.#tolerance && others > 0) {
      this.#allowance = this.#bounded(Math.floor(Math.min(this.#allowance, others) * DECREASE))
    } else this.#allowance = this.#bounded(this.#allowance + 1)
  }

  #highestAtWork(now: number): number {
    for (let tier = 0; tier < COUNT; tier++) {
      if (now - (this.#seenAt[tier] ?? Number.NEGATIVE_INFINITY) < QUIET_MS) return tier
    }
    return COUNT - 1
  }

  #bounded(slots: number): number {
    return Math.max(this.#min, Math.min(this.#limit, slots))
  }
}
