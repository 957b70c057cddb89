import type { Config } from '../../config/schema.ts'
import {
  BUILT_IN_POOLS,
  NO_REPLAY,
  type Policy,
  type ReplayPolicy,
  type SlotShare,
  type TierPolicy,
} from '../../shard/policy.ts'
import { TIERS, type Tier } from '../../shard/tier.ts'

type TierConfig = Config['tierHigh']

/** The rules of `config` as router and admission take them; the same for the same configuration. */
export function compilePolicy(config: Config): Policy {
  const { routing, tiers } = config
  return {
    routing: {
      reads: routing.reads,
      readOnlyTransactions: routing.readOnlyTransactions,
      defersBegin: routing.begin === 'deferred',
      replicaWaitMs: routing.replicaWaitMs,
      maxLagMs: routing.maxLagMs,
      slowStartMs: routing.slowStartMs,
      rebalance: routing.rebalance,
      zone: routing.zone,
    },
    admission: {
      limit: tiers.concurrency,
      minSlots: tiers.minSlots,
      tolerance: tiers.tolerance,
      ageMs: tiers.ageMs,
      maxWaiting: tiers.maxWaiting,
    },
    tiers: TIERS.map((tier) => tierPolicy(tier, tierConfig(config, tier), config.replay)),
    pools: [
      ...BUILT_IN_POOLS,
      ...config.shardPools.map(({ name, shards, role }) => ({ name, shards: shards.length > 0 ? shards : null, role })),
    ],
    rules: config.tierRules.map((rule) => ({ ...rule, max: rule.max === null ? null : slotShare(rule.max) })),
  }
}

/** What the file says of a tier. */
export function tierConfig(config: Config, tier: Tier): TierConfig {
  const by = {
    high: config.tierHigh,
    medium: config.tierMedium,
    low: config.tierLow,
    background: config.tierBackground,
  }
  return by[tier]
}

function tierPolicy(tier: Tier, config: TierConfig, replay: Config['replay']): TierPolicy {
  return {
    tier,
    pools: config.pools,
    reserved: slotShare(config.reserved),
    kept: slotShare(config.kept),
    max: slotShare(config.max),
    queue: config.queue,
    queueWaitMs: config.queueWaitMs,
    shedOrder: config.shedOrder,
    queryMs: config.queryMs,
    transactionMs: config.transactionMs,
    nice: config.nice,
    isSerial: config.parallel === 'off',
    consistency: config.consistency,
    resolvesCommits: config.resolveCommits === 'on',
    replay: config.replay === 'on' ? replayPolicy(replay) : NO_REPLAY,
  }
}

function replayPolicy({ sizeBytes, resultsBytes, ageMs }: Config['replay']): ReplayPolicy {
  return { requestBytes: sizeBytes, resultBytes: resultsBytes, ageMs }
}

/** `4` or `25%`, as the configuration has checked it. */
export function slotShare(written: string): SlotShare {
  const number = Number.parseInt(written, 10)
  return written.endsWith('%') ? { slots: 0, percent: number } : { slots: number, percent: 0 }
}
