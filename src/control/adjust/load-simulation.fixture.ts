import { NO_POLICY, slotsOf, type TierPolicy } from '../../shard/policy.ts'
import { adjustmentOf } from './adjustment-of.ts'
import { climb, GROUND, type Ladder, type LadderSettings } from './ladder.ts'
import { pressureOn, type ShardSight, type TierSight } from './pressure.ts'

export const SLOTS = 16
export const OBJECTIVES = [5, 50, 0, 0]
export const SETTINGS: LadderSettings = { patienceMs: 2000, calmMs: 10_000, cancels: false }
export const TICK_MS = 500

const share = (percent: number) => ({ slots: 0, percent })

/** As in the default configuration. */
export const TIER_POLICIES: readonly TierPolicy[] = NO_POLICY.tiers.map((tier, code) => ({
  ...tier,
  reserved: share([20, 10, 0, 0][code] ?? 0),
  max: share([100, 100, 50, 25][code] ?? 0),
}))

/** Transactions of each tier that want to run at once. */
export type Demand = readonly number[]

/**
 * For tests: a shard with 16 slots. Lower tiers have what they were given before a higher one comes, as with long
 * transactions, and whoever finds no slot waits as long as those do. Where every slot counts for latency, `isLoaded` makes
 * the shard overloaded from so many busy slots on.
 */
export class SimulatedShard {
  ladder: Ladder = GROUND
  now = 0
  readonly changes: { readonly at: number; readonly step: string }[] = []
  readonly #overloadedFrom: number

  constructor(overloadedFrom = Number.POSITIVE_INFINITY) {
    this.#overloadedFrom = overloadedFrom
  }

  /** Half a second under this demand. */
  tick(demand: Demand): void {
    this.now += TICK_MS
    const before = this.ladder
    const pressure = pressureOn(this.sight(demand), OBJECTIVES, before.protects)
    this.ladder = climb(before, pressure, SETTINGS, this.now)
    if (this.ladder.step !== before.step) this.changes.push({ at: this.now, step: this.ladder.step })
  }

  run(demand: Demand, seconds: number): void {
    for (let ticks = (seconds * 1000) / TICK_MS; ticks > 0; ticks--) this.tick(demand)
  }

  sight(demand: Demand): ShardSight {
    const adjustment = adjustmentOf(this.ladder, TIER_POLICIES, SLOTS, OBJECTIVES)
    const held = [0, 0, 0, 0]
    let free = SLOTS
    // Whoever keeps its reservation has it before anybody else takes something.
    for (const [tier, policy] of TIER_POLICIES.entries()) {
      if (adjustment?.keepsReserved[tier] !== true) continue
      held[tier] = Math.min(demand[tier] ?? 0, slotsOf(policy.reserved, SLOTS, Math.floor))
      free -= held[tier]
    }
    for (let tier = TIER_POLICIES.length - 1; tier >= 0; tier--) {
      const max = slotsOf((TIER_POLICIES[tier] as TierPolicy).max, SLOTS, Math.ceil)
      const allowed = Math.min(max, adjustment?.most[tier] ?? max)
      const more = Math.max(0, Math.min((demand[tier] ?? 0) - (held[tier] ?? 0), allowed - (held[tier] ?? 0), free))
      held[tier] = (held[tier] ?? 0) + more
      free -= more
    }
    const busy = SLOTS - free
    const tiers = held.map((had, tier): TierSight => {
      const waiting = Math.max(0, (demand[tier] ?? 0) - had)
      return { held: had, waiting, admitted: had * 5, waitMs: waiting === 0 ? 0 : (100 * waiting) / Math.max(1, had) }
    })
    return { tiers, overload: busy >= this.#overloadedFrom ? 'all slots are taken' : null }
  }
}
