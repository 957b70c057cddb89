import { PROFILE, PROFILE_F32, PROFILE_F64 } from '../memory/profile-records.ts'
import type { Region } from '../memory/region.ts'
import { NO_TIER } from './tier-decision.ts'

/** A change upward needs to be this much more likely, for so many evaluations in a row; one downward, more and longer. */
const PROMOTE = { margin: 0.15, evaluations: 3 }
const DEMOTE = { margin: 0.25, evaluations: 5 }
/** While a connection is new: what its name promised may turn out wrong, once. */
const SETTLE = { margin: 0.25, evaluations: 2, queries: 16 }
/** A tier is kept for at least this long. */
const DWELL_MS = 10_000
/** One step at a time, unless it is as clear as this. */
const CLEAR = 0.9
const TAU_MS = 5_000
/** What one evaluation counts at least. */
const LEAST_WEIGHT = 1 / 8
const LEAST_PROBABILITY = 1e-4

/**
 * Makes a steady tier of what the model says from evaluation to evaluation. The state is in the profile's record.
 *
 * - none: the model has not been sure of anything yet. The first tier that reaches its threshold is taken at once.
 * - settled: another one has to be more likely by a margin, several times in a row, and not before the dwell time is over.
 */
export class TierHysteresis {
  readonly #i32: Int32Array
  readonly #f64: Float64Array
  readonly #f32: Float32Array
  readonly #words: number
  readonly #smooth = new Float64Array(4)

  /** `region`: the profiles. */
  constructor(region: Region) {
    this.#i32 = region.i32
    this.#f64 = region.f64
    this.#f32 = region.f32
    this.#words = region.recordBytes >> 2
  }

  /** Takes `probabilities` into account; returns the model's tier after that, or `NO_TIER`. */
  step(slot: number, probabilities: Float64Array, thresholds: readonly number[], now: number): number {
    const i = slot * this.#words
    this.#average(i, probabilities, now)
    const current = (this.#i32[i + PROFILE.modelTier] as number) - 1
    const best = this.#best()
    const likely = this.#smooth[best] as number
    if (current < 0) {
      if (likely < (thresholds[best] as number)) return NO_TIER
      return this.#enter(i, best, now)
    }
    if (best === current || !this.#insists(i, best, current)) return current
    const isNew = this.#isNew(i)
    const dwelt = now - (this.#f64[(i >> 1) + PROFILE_F64.tierSince] as number)
    if ((!isNew && dwelt < DWELL_MS) || likely < (thresholds[best] as number)) return current
    this.#i32[i + PROFILE.changes]! += 1
    return this.#enter(i, likely >= CLEAR || isNew ? best : current + Math.sign(best - current), now)
  }

  /** The one setter. */
  #enter(i: number, tier: number, now: number): number {
    this.#i32[i + PROFILE.modelTier] = tier + 1
    this.#i32[i + PROFILE.candidate] = 0
    this.#i32[i + PROFILE.candidateCount] = 0
    this.#f64[(i >> 1) + PROFILE_F64.tierSince] = now
    return tier
  }

  /** Logarithms of probabilities, averaged over time, over evaluations, and over the evidence that there is. */
  #average(i: number, probabilities: Float64Array, now: number): void {
    const f32 = this.#f32
    const at = i + PROFILE_F32.logProbabilities
    const queries = this.#i32[i + PROFILE.queries] as number
    const fresh = queries - (this.#i32[i + PROFILE.evaluatedAtQuery] as number)
    const passed = now - (this.#f64[(i >> 1) + PROFILE_F64.evaluatedAt] as number)
    const isFirst = this.#i32[i + PROFILE.evaluations] === 0
    const share = queries > 0 ? fresh / queries : 0
    const weight = isFirst ? 1 : Math.max(LEAST_WEIGHT, share, 1 - Math.exp(-passed / TAU_MS))
    let sum = 0
    for (let k = 0; k < 4; k++) {
      const log = Math.log(Math.max(LEAST_PROBABILITY, probabilities[k] as number))
      const before = f32[at + k] as number
      const mean = before + weight * (log - before)
      f32[at + k] = mean
      this.#smooth[k] = Math.exp(mean)
      sum += this.#smooth[k] as number
    }
    for (let k = 0; k < 4; k++) this.#smooth[k]! /= sum
  }

  #best(): number {
    let best = 0
    for (let k = 1; k < 4; k++) if ((this.#smooth[k] as number) > (this.#smooth[best] as number)) best = k
    return best
  }

  #isNew(i: number): boolean {
    return (this.#i32[i + PROFILE.queries] as number) <= SETTLE.queries && this.#i32[i + PROFILE.changes] === 0
  }

  /** Whether `best` has been better than `current` often enough. */
  #insists(i: number, best: number, current: number): boolean {
    const isNew = this.#isNew(i)
    const rule = isNew ? SETTLE : best < current ? PROMOTE : DEMOTE
    const isClear = (this.#smooth[best] as number) - (this.#smooth[current] as number) > rule.margin
    const before = this.#i32[i + PROFILE.candidate] === best + 1 ? (this.#i32[i + PROFILE.candidateCount] as number) : 0
    const count = isClear ? before + 1 : 0
    this.#i32[i + PROFILE.candidate] = best + 1
    this.#i32[i + PROFILE.candidateCount] = count
    return count >= rule.evaluations
  }
}
