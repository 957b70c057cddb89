import { Counter, Gauge, type Registry } from 'prom-client'
import { readShardLoad, SHARD_WAITS, type ShardLoadView, type TierLoadView } from '../../memory/shard-records.ts'
import { TIERS, type Tier } from '../../shard/tier.ts'
import type { RouterControl } from '../router-control.ts'
import { ruleLoads } from '../rule-loads.ts'
import { type HistogramSeries, MemoryHistogram } from './memory-histogram.ts'

interface TierLoad {
  readonly shard: string
  readonly tier: Tier
  /** One of each plane. */
  readonly loads: readonly TierLoadView[]
}

type Count = Exclude<keyof TierLoadView, 'waitCounts'>

const COUNTERS: readonly (readonly [name: string, of: Count, help: string, unit?: number])[] = [
  ['transactions', 'admitted', 'Transactions that got a slot.'],
  ['waits', 'waits', 'Those of them that had to wait for it.'],
  ['refused', 'refused', 'Transactions refused because too many waited.'],
  ['wait_timeouts', 'timedOut', 'Transactions refused because they had waited too long.'],
  ['queries', 'latencyCount', 'Queries answered.'],
  ['query_seconds', 'latencySumMs', 'Time that they took, all together.', 1000],
]
const GAUGES: readonly (readonly [name: string, of: Count, help: string])[] = [
  ['slots_used', 'held', 'Transactions under way.'],
  ['slots_allowed', 'allowed', 'Most that the tier may have under way now.'],
  ['waiting', 'waiting', 'Transactions that wait for a slot.'],
]

const RULE_GAUGES: readonly (readonly [name: string, of: 'held' | 'waiting' | 'allowed', help: string])[] = [
  ['slots_used', 'held', 'Transactions under way of the clients of a rule.'],
  ['slots_allowed', 'allowed', 'Most that they may have under way together.'],
  ['waiting', 'waiting', 'Transactions of theirs that wait for a slot.'],
]

/** Bucket b counts waits below 2^(b−1) milliseconds. */
const SHAPE = {
  labelNames: ['shard', 'tier'],
  bounds: Array.from({ length: SHARD_WAITS.buckets }, (_, bucket) =>
    bucket === SHARD_WAITS.buckets - 1 ? Number.POSITIVE_INFINITY : 2 ** (bucket - 1) / 1000,
  ),
}

/** What tiers get of each shard, and how long they wait for it. */
export function registerTierMetrics(registry: Registry, control: RouterControl): void {
  const labelNames = ['shard', 'tier']
  const registers = [registry]
  for (const [name, of, help, unit = 1] of COUNTERS) {
    new Counter({
      name: `switchyard_tier_${name}_total`,
      ...{ help, labelNames, registers },
      collect() {
        this.reset()
        for (const { shard, tier, loads } of tierLoads(control)) this.inc({ shard, tier }, sum(loads, of) / unit)
      },
    })
  }
  for (const [name, of, help] of GAUGES) {
    new Gauge({
      name: `switchyard_tier_${name}`,
      ...{ help, labelNames, registers },
      collect() {
        this.reset()
        for (const { shard, tier, loads } of tierLoads(control)) this.set({ shard, tier }, sum(loads, of))
      },
    })
  }
  registerAdjustmentMetrics(registry, control)
  registerRuleMetrics(registry, control)
  const help = 'Time that transactions waited for a slot, those included that had not to.'
  new MemoryHistogram(registry, SHAPE, 'switchyard_tier_wait_seconds', help, () => [...tierLoads(control)].map(waits))
}

function registerAdjustmentMetrics(registry: Registry, control: RouterControl): void {
  new Gauge({
    name: 'switchyard_shard_slots',
    help: 'Transactions that the shard may have at once.',
    labelNames: ['shard'],
    registers: [registry],
    collect() {
      this.reset()
      for (const [shard, views] of shardLoads(control))
        this.set({ shard }, Math.max(...views.map(({ limit }) => limit)))
    },
  })
  new Gauge({
    name: 'switchyard_shard_adjusted',
    help: '1 for what is done on the shard to help higher tiers, by its name on the ladder.',
    labelNames: ['shard', 'step'],
    registers: [registry],
    collect() {
      this.reset()
      for (const { name, adjustment } of control.topology().shards) {
        this.set({ shard: name, step: adjustment?.step ?? 'none' }, 1)
      }
    },
  })
}

/** Rules are told by their number, those that count their clients apart. */
function registerRuleMetrics(registry: Registry, control: RouterControl): void {
  for (const [name, of, help] of RULE_GAUGES) {
    new Gauge({
      name: `switchyard_rule_${name}`,
      ...{ help, labelNames: ['shard', 'rule'], registers: [registry] },
      collect() {
        this.reset()
        for (const load of ruleLoads(control)) this.inc({ shard: load.shard, rule: String(load.rule) }, load[of])
      },
    })
  }
}

function waits({ shard, tier, loads }: TierLoad): HistogramSeries {
  const buckets = Array.from({ length: SHARD_WAITS.buckets }, (_, bucket) =>
    loads.reduce((total, { waitCounts }) => total + (waitCounts[bucket] ?? 0), 0),
  )
  // Only those who waited are counted by planes: the others are the rest of those who got a slot.
  buckets[0] = (buckets[0] ?? 0) + Math.max(0, sum(loads, 'admitted') - sum(loads, 'waits'))
  return { labels: { shard, tier }, buckets, sumSeconds: sum(loads, 'waitMs') / 1000 }
}

function sum(loads: readonly TierLoadView[], of: Count): number {
  return loads.reduce((total, load) => total + load[of], 0)
}

function* tierLoads(control: RouterControl): Generator<TierLoad> {
  for (const [shard, views] of shardLoads(control)) {
    for (const [code, tier] of TIERS.entries()) {
      const loads = views.flatMap(({ tiers }) => tiers[code] ?? [])
      yield { shard, tier, loads }
    }
  }
}

function* shardLoads(control: RouterControl): Generator<readonly [string, readonly ShardLoadView[]]> {
  const { memory } = control
  const planes = Array.from({ length: memory.geometry.planes }, (_, plane) => plane)
  for (const { id, name } of control.topology().shards) {
    const views = planes.flatMap((plane) => readShardLoad(memory.shards, plane, id) ?? [])
    if (views.length > 0) yield [name, views]
  }
}
