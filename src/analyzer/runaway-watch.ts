import { CLIENT_F64 } from '../memory/client-slots.ts'
import { PROFILE, PROFILE_F32, PROFILE_F64, PROFILE_FLAG } from '../memory/profile-records.ts'
import type { RunawayValues } from '../shard/plane-values.ts'
import { tierCode } from '../shard/tier.ts'
import type { FeatureRegions } from './feature-vector.ts'
import { runawayReason } from './runaway.ts'
import { NO_TIER } from './tier-decision.ts'

/** Looks whether a client's present request goes beyond the limits, and remembers that it did for a while. */
export class RunawayWatch {
  readonly #regions: FeatureRegions
  readonly #onRunaway: () => void
  limits: RunawayValues = { elapsedMs: 0, rows: 0, bytes: 0, action: 'dryrun', tier: 'low', cooldownMs: 0 }

  constructor(regions: FeatureRegions, onRunaway: () => void) {
    this.#regions = regions
    this.#onRunaway = onRunaway
  }

  /** While a request runs that began at `began`, and at its end before the profile takes it in. True: it has just become one. */
  look(slot: number, began: number, now: number): boolean {
    const { limits } = this
    if (limits.elapsedMs === 0 && limits.rows === 0 && limits.bytes === 0) return false
    const { clients, profiles } = this.#regions
    const i = slot * (profiles.recordBytes >> 2)
    const f = slot * (clients.recordBytes >> 3)
    const elapsed = began === 0 ? 0 : now - began
    const bytes =
      (clients.f64[f + CLIENT_F64.bytesRead] as number) -
      (profiles.f64[(i >> 1) + PROFILE_F64.bytesRead] as number) +
      (clients.f64[f + CLIENT_F64.bytesWritten] as number) -
      (profiles.f64[(i >> 1) + PROFILE_F64.bytesWritten] as number)
    const rows = profiles.f32[i + PROFILE_F32.rows] as number
    if (runawayReason(limits, elapsed, rows, bytes) === 'none') return false
    profiles.f64[(i >> 1) + PROFILE_F64.runawayUntil] = now + limits.cooldownMs
    const flags = profiles.i32[i + PROFILE.flags] as number
    profiles.i32[i + PROFILE.flags] = flags | PROFILE_FLAG.runaway
    // Counted once, however often it is looked at.
    const query = (profiles.i32[i + PROFILE.queries] as number) + 1
    if (profiles.f32[i + PROFILE_F32.runawayQuery] === query) return false
    profiles.f32[i + PROFILE_F32.runawayQuery] = query
    this.#onRunaway()
    return true
  }

  /** The tier that it is lowered to at the moment, or `NO_TIER`. */
  tierOf(slot: number, now: number): number {
    const { profiles } = this.#regions
    const i = slot * (profiles.recordBytes >> 2)
    if (this.limits.action !== 'demote' || (profiles.f64[(i >> 1) + PROFILE_F64.runawayUntil] as number) <= now) {
      return NO_TIER
    }
    return tierCode(this.limits.tier)
  }
}
