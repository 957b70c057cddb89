import type { Config } from '../../config/schema.ts'
import { TIERS, type Tier } from '../../shard/tier.ts'
import type { Shard, Topology } from '../../shard/topology.ts'
import { tierConfig } from '../policy/compile-policy.ts'
import type { AddedShard } from './added-shard.ts'
import type { Appeal } from './appeal.ts'
import type { ShardSample } from './load-sampler.ts'
import type { ScaleUnit, TierWait, UnitShard } from './scale-unit.ts'

/** What is known of all shards at a moment. */
export interface ScaleFacts {
  readonly config: Config
  readonly topology: Topology
  readonly added: readonly AddedShard[]
  /** By shard id. */
  readonly samples: ReadonlyMap<number, ShardSample>
  readonly appeals: ReadonlyMap<number, Appeal>
  /** Whether somebody drains it. */
  readonly isDrained: (name: string) => boolean
}

/** Everything that can be scaled: each group, and each pool of the operator's with names of shards of one group. */
export function scaleUnits(facts: ScaleFacts): readonly ScaleUnit[] {
  const { config, topology } = facts
  const groups = [...new Set(topology.shards.map(({ group }) => group))]
  const pools = config.shardPools.flatMap(({ name, shards, role }) => {
    const group = role === 'primary' ? null : onlyGroup(topology, shards)
    return group === null ? [] : [{ group, pool: name }]
  })
  return [...groups.map((group) => ({ group, pool: null })), ...pools].map((unit) => scaleUnit(facts, unit))
}

/** Null: they are of several, or of none. */
function onlyGroup({ shards }: Topology, names: readonly string[]): string | null {
  const groups = new Set(shards.filter(({ name }) => names.includes(name)).map(({ group }) => group))
  return groups.size === 1 ? ([...groups][0] ?? null) : null
}

function scaleUnit(facts: ScaleFacts, { group, pool }: { group: string; pool: string | null }): ScaleUnit {
  const { config, topology, samples } = facts
  const names = pool === null ? null : (config.shardPools.find(({ name }) => name === pool)?.shards ?? [])
  const members = topology.shards.filter((shard) => shard.group === group && (names?.includes(shard.name) ?? true))
  const replicas = members.filter(({ role }) => role !== 'primary')
  const primary = topology.shards.find((shard) => shard.group === group && shard.role === 'primary')
  const waitOn = (shards: readonly Shard[], tier: number): number =>
    Math.max(0, ...shards.map(({ id }) => samples.get(id)?.waitMs[tier] ?? 0))
  const tiers = TIERS.map((tier, code): TierWait => {
    const onPrimaryMs = primary === undefined ? 0 : waitOn([primary], code)
    return { tier, objectiveMs: objectiveOf(config, tier), onReplicasMs: waitOn(replicas, code), onPrimaryMs }
  }).filter(({ tier, objectiveMs }) => objectiveMs > 0 && mayReadThere(config, tier, pool))
  const { minShards, maxShards } = config.scaling
  return {
    ...{ group, pool, tiers, minShards, maxShards },
    shards: [...members.map((shard) => unitShard(facts, shard, pool)), ...underway(facts, members, group, pool)],
    obstacle: uselessness(config, pool),
  }
}

/** Those that are no shards for the planes: not yet, or not any more. */
function underway(
  { added }: ScaleFacts,
  members: readonly Shard[],
  group: string,
  pool: string | null,
): readonly UnitShard[] {
  return added.flatMap(({ name, state, slots, maxConnections, ...shard }) => {
    const isMeant = shard.group === group && shard.pool === pool
    if (!isMeant || state === 'serving' || members.some((member) => member.name === name)) return []
    const moving = state === 'creating' ? 'starting' : 'draining'
    const facts = { isPrimary: false, isAdded: true, busy: 0, appeal: null }
    return [{ ...facts, name, slots: slots ?? maxConnections, state: moving } as const]
  })
}

function unitShard(facts: ScaleFacts, shard: Shard, pool: string | null): UnitShard {
  const { added, samples, isDrained } = facts
  const { id, name, role, up, slots, maxConnections } = shard
  const record = added.find((each) => each.name === name)
  const isLeaving = record !== undefined && (record.state === 'leaving' || isDrained(name))
  return {
    name,
    isPrimary: role === 'primary',
    isAdded: record !== undefined && record.pool === pool,
    state: isLeaving ? 'draining' : up ? 'serving' : 'down',
    slots: slots ?? maxConnections,
    busy: samples.get(id)?.busy ?? 0,
    appeal: heardAppeal(facts, id, pool),
  }
}

/** A replica takes over reads of the tier that lacks something, or of those below it that are in its way. */
function heardAppeal({ config, appeals }: ScaleFacts, id: number, pool: string | null): string | null {
  const appeal = appeals.get(id)
  if (appeal === undefined) return null
  const concerned = TIERS.filter((_, tier) => (appeal.isAlone ? tier === appeal.tier : tier >= appeal.tier))
  return concerned.some((tier) => mayReadThere(config, tier, pool)) ? appeal.reason : null
}

/** Why nothing would be sent to one more replica in this pool (null: in none of the operator's); null: something would. */
export function uselessness(config: Config, pool: string | null): string | null {
  if (config.routing.reads !== 'replicas') {
    return 'routing.reads is "primary", so everything runs on the primary, and a replica only stands by'
  }
  if (TIERS.some((tier) => mayReadThere(config, tier, pool))) return null
  return 'no tier sends reads there: see pools and consistency of each tier, and of [[tiers.rules]]'
}

/** Whether reads of the tier, or of some of its clients by a rule, may run on a replica that is in this pool, and in the built-in ones. */
function mayReadThere(config: Config, tier: Tier, pool: string | null): boolean {
  const all = tierConfig(config, tier)
  const some = config.tierRules
    .filter((rule) => rule.tier === null || rule.tier === tier)
    .map((rule) => ({ pools: rule.pools ?? all.pools, consistency: rule.consistency ?? all.consistency }))
  return [all, ...some].some((places) => leadsThere(config, places, pool))
}

function leadsThere(
  config: Config,
  { pools, consistency }: Pick<Config['tierLow'], 'pools' | 'consistency'>,
  pool: string | null,
): boolean {
  if (config.routing.reads !== 'replicas' || consistency === 'strong') return false
  if (pool !== null) return pools.includes(pool)
  const open = config.shardPools.filter(({ shards, role }) => shards.length === 0 && role !== 'primary')
  return ['all', 'replicas', ...open.map(({ name }) => name)].some((name) => pools.includes(name))
}

function objectiveOf({ scaling }: Config, tier: Tier): number {
  const { highMs, mediumMs, lowMs, backgroundMs } = scaling
  return { high: highMs, medium: mediumMs, low: lowMs, background: backgroundMs }[tier]
}
