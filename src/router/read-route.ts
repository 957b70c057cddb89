import type { Consistency, RoutingPolicy, TierRule } from '../shard/policy.ts'
import type { Shard } from '../shard/topology.ts'
import { type Causality, type Freshness, requiredFreshness } from './freshness.ts'
import { type Candidate, ReplicaChoice } from './replica-choice.ts'
import { type GroupPlan, placesOf } from './route-table.ts'

/** Why a shard is, or is not, one where a read may run now. */
export type Standing =
  | { readonly usable: true; readonly reason: string }
  | { readonly usable: false; readonly reason: string }

/** What decides about one read, beside the table. */
export interface ReadDemand {
  readonly tier: number
  /** The operator's rule that holds for who asks; null: none does. */
  readonly rule: TierRule | null
  readonly consistency: Consistency
  readonly causality: Causality
}

/** Who wants to read. */
export interface Reader {
  /** Whether it can get a server connection there at all. */
  canReach(shard: Shard): boolean
}

/**
 * Chooses where a read runs. In the pools of its rule or tier, in their order, the first one counts that has a shard with room;
 * when none has room, the first with any. Of several, `ReplicaChoice` decides. Null: nowhere but on the primary.
 */
export class ReadRouter {
  readonly #freshness: Freshness
  readonly #choice: ReplicaChoice
  routing: RoutingPolicy

  constructor(freshness: Freshness, random: () => number, routing: RoutingPolicy) {
    this.#freshness = freshness
    this.#choice = new ReplicaChoice(random)
    this.routing = routing
  }

  choose(plan: GroupPlan, demand: ReadDemand, now: number, reader: Reader): Candidate | null {
    return this.#among(plan, demand, now, reader, true) ?? this.#among(plan, demand, now, reader, false)
  }

  #among(plan: GroupPlan, demand: ReadDemand, now: number, reader: Reader, withRoom: boolean): Candidate | null {
    const places = placesOf(plan, demand.tier, demand.rule)
    if (places === undefined) return null
    for (const pool of places.pools) {
      this.#choice.begin()
      for (const candidate of pool) {
        if (withRoom && candidate.load.busy >= candidate.load.limit) continue
        if (
          !candidate.isPrimary &&
          (!this.#isRecent(plan, candidate, demand, now) || !reader.canReach(candidate.shard))
        )
          continue
        this.#choice.offer(candidate)
      }
      const picked = this.#choice.pick(now, this.routing.slowStartMs)
      if (picked !== null) return picked
    }
    return null
  }

  /**
   * Whether replicas of the first pool that has any lack nothing but what the session has written or seen, and the primary is
   * not in that pool itself: in a moment one of them may do.
   */
  isWorthWaiting(plan: GroupPlan, demand: ReadDemand, now: number, reader: Reader): boolean {
    for (const pool of placesOf(plan, demand.tier, demand.rule)?.pools ?? []) {
      let mayCome = false
      for (const candidate of pool) {
        if (candidate.isPrimary) return false
        if (!reader.canReach(candidate.shard)) continue
        const isNear = now - this.#freshness.of(candidate.shard.id, now) <= this.routing.maxLagMs
        mayCome ||= isNear && !this.#isRecent(plan, candidate, demand, now)
      }
      if (mayCome) return true
    }
    return false
  }

  #isRecent(plan: GroupPlan, { shard }: Candidate, demand: ReadDemand, now: number): boolean {
    const asOf = this.#freshness.of(shard.id, now)
    if (now - asOf > this.routing.maxLagMs) return false
    return demand.consistency === 'eventual' || asOf >= requiredFreshness(demand.causality, shard.id, plan.wroteAt)
  }

  /** The same question about one shard, answered for people. */
  standing(plan: GroupPlan, candidate: Candidate, demand: ReadDemand, now: number): Standing {
    const { shard, isPrimary, load } = candidate
    const work = `${load.busy} of ${load.limit} slots, ${load.peakMs(now).toFixed(2)} ms`
    if (isPrimary) return { usable: true, reason: `primary, always up to date; ${work}` }
    const asOf = this.#freshness.of(shard.id, now)
    if (asOf === Number.NEGATIVE_INFINITY) {
      return { usable: false, reason: 'nothing is known of how far it has got' }
    }
    const behind = `as of ${Math.max(0, now - asOf).toFixed(0)} ms ago`
    if (now - asOf > this.routing.maxLagMs) return { usable: false, reason: `${behind}: more than routing.max_lag` }
    if (demand.consistency !== 'eventual') {
      const required = requiredFreshness(demand.causality, shard.id, plan.wroteAt)
      if (asOf < required) {
        const short = (required - asOf).toFixed(0)
        return { usable: false, reason: `${behind}: ${short} ms short of what the session has written or seen` }
      }
    }
    return { usable: true, reason: `${behind}; ${work}` }
  }
}
