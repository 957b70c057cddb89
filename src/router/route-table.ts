import type { Consistency, Policy, RoutingPolicy, ShardPoolPolicy, TierRule } from '../shard/policy.ts'
import type { Shard, Topology } from '../shard/topology.ts'
import { type Candidate, shareOf } from './replica-choice.ts'
import { isUsableReplica, routeToPrimary } from './route.ts'
import type { ShardLoad } from './shard-load.ts'

/** Where reads of one tier may run. */
export interface TierPlan {
  /** The preferred first. */
  readonly pools: readonly (readonly Candidate[])[]
  /** Some of them are on replicas, and reads may run there. */
  readonly reachesReplicas: boolean
  /** The same of those of who has no rule of its own: the tier's consistency allows it. */
  readonly mayLeave: boolean
}

/** Where transactions of one group may run. */
export interface GroupPlan {
  readonly group: string
  /** Null: nobody knows. */
  readonly primary: Shard | null
  /** In the order of `TIERS`. */
  readonly tiers: readonly TierPlan[]
  /** Of rules that name pools: where reads of their clients may run instead. */
  readonly rules: ReadonlyMap<TierRule, TierPlan>
  /** When anybody wrote last, as far as this plane knows. */
  wroteAt: number
  /** When control was told so last. */
  toldAt: number
}

/** Where reads of a client of this tier, and with this rule, may run. */
export function placesOf({ tiers, rules }: GroupPlan, tier: number, rule: TierRule | null): TierPlan | undefined {
  if (rules.size === 0 || rule === null) return tiers[tier]
  return rules.get(rule) ?? tiers[tier]
}

/** Reads of somebody may run on replicas, so what the group has seen matters. */
export function reachesReplicas({ tiers, rules }: GroupPlan): boolean {
  for (const tier of tiers) if (tier.reachesReplicas) return true
  if (rules.size > 0) for (const rule of rules.values()) if (rule.reachesReplicas) return true
  return false
}

/** What the table needs to know of shards beside the topology. */
export interface ShardFacts {
  loadOf(shard: Shard): ShardLoad
}

/**
 * Policy and topology, worked out: for each group and tier the shards where a read may run. Made anew when one of them
 * changes; what it knows of shards that stay, stays.
 */
export class RouteTable {
  readonly #facts: ShardFacts
  #plans = new Map<string, GroupPlan>()
  /** Since when a shard has been up without a break or a doubt, by id. */
  #since = new Map<number, number>()
  #isFirst = true
  #routing: Pick<RoutingPolicy, 'zone' | 'slowStartMs'> = { zone: null, slowStartMs: 0 }

  constructor(facts: ShardFacts) {
    this.#facts = facts
  }

  of(group: string): GroupPlan | null {
    return this.#plans.get(group) ?? null
  }

  get plans(): Iterable<GroupPlan> {
    return this.#plans.values()
  }

  /** Reads may run on this shard, at this address, whoever the primary is. */
  isReadable({ id, group, address, port }: Shard): boolean {
    const plan = this.of(group)
    for (const { pools } of plan === null ? [] : [...plan.tiers, ...plan.rules.values()]) {
      for (const pool of pools) {
        const found = pool.find(({ shard }) => shard.id === id)
        if (found !== undefined) return found.shard.address === address && found.shard.port === port
      }
    }
    return false
  }

  /** What a shard that is usable should have of the work that only replicas do, beside others. */
  shareOf(shard: Shard, now: number): number {
    const { zone, slowStartMs } = this.#routing
    return shareOf({ shard, isFar: isFar(shard, zone), since: this.#sinceOf(shard) }, now, slowStartMs)
  }

  #sinceOf({ id }: Shard): number {
    return this.#since.get(id) ?? Number.NEGATIVE_INFINITY
  }

  rebuild(policy: Policy, topology: Topology, now: number): void {
    this.#routing = policy.routing
    const since = new Map<number, number>()
    for (const { id, up, health } of topology.shards) {
      // Those of the first topology were there before this process was.
      if (up && health !== 'suspect')
        since.set(id, this.#isFirst ? Number.NEGATIVE_INFINITY : (this.#since.get(id) ?? now))
    }
    this.#since = since
    this.#isFirst &&= topology.shards.length === 0
    const before = this.#plans
    this.#plans = new Map()
    for (const group of new Set(topology.shards.map((shard) => shard.group))) {
      this.#plans.set(group, this.#plan(group, policy, topology, before.get(group)?.wroteAt ?? now))
    }
  }

  #plan(group: string, policy: Policy, topology: Topology, wroteAt: number): GroupPlan {
    const route = routeToPrimary(topology, group)
    const primary = route.kind === 'shard' ? route.shard : null
    const members = topology.shards.filter((shard) => shard.group === group && isUsable(shard, primary))
    const candidates = members.map((shard) => this.#candidate(shard, shard === primary, policy.routing.zone))
    const placesIn = (pools: readonly string[], consistency: Consistency): TierPlan => {
      const lists = pools.map((name) => {
        const pool = policy.pools.find((each) => each.name === name)
        return pool === undefined ? [] : candidates.filter((candidate) => isMember(pool, candidate))
      })
      const isReplicaThere = lists.some((list) => list.some(({ isPrimary }) => !isPrimary))
      const reachesReplicas = policy.routing.reads === 'replicas' && isReplicaThere
      return { pools: lists, reachesReplicas, mayLeave: reachesReplicas && consistency !== 'strong' }
    }
    const tiers = policy.tiers.map(({ pools, consistency }) => placesIn(pools, consistency))
    const rules = new Map<TierRule, TierPlan>()
    for (const rule of policy.rules) {
      if ((rule.pools ?? null) !== null) rules.set(rule, placesIn(rule.pools ?? [], rule.consistency ?? 'session'))
    }
    return { group, primary, tiers, rules, wroteAt, toldAt: 0 }
  }

  #candidate(shard: Shard, isPrimary: boolean, zone: string | null): Candidate {
    const load = this.#facts.loadOf(shard)
    return { shard, isPrimary, isFar: isFar(shard, zone), since: this.#sinceOf(shard), load }
  }
}

function isFar(shard: Shard, zone: string | null): boolean {
  return zone !== null && shard.zone !== zone
}

function isUsable(shard: Shard, primary: Shard | null): boolean {
  return shard === primary || isUsableReplica(shard)
}

function isMember({ shards, role }: ShardPoolPolicy, { shard, isPrimary }: Candidate): boolean {
  if (shards !== null && !shards.includes(shard.name)) return false
  return role === 'any' || (role === 'primary') === isPrimary
}
