import { formatDuration } from '../../config/duration.ts'
import type { Config } from '../../config/schema.ts'
import { type SlotShare, slotsOf, type TierPolicy } from '../../shard/policy.ts'
import { compilePolicy } from './compile-policy.ts'

const HEADER = ['tier', 'reads run on', 'slots reserved', 'at most', 'may wait', 'for', 'reads see']
const CONSISTENCY = {
  session: 'what their session wrote',
  identity: 'what their application wrote',
  eventual: 'the state of up to routing.max_lag ago',
  strong: 'everything',
}

/** What the policy means, tier by tier: lines of a table for people. Shares are told for the shard with the fewest slots. */
export function policyTable(config: Config): readonly string[] {
  const policy = compilePolicy(config)
  const slots = Math.min(...config.shards.map((shard) => shard.slots ?? shard.maxConnections))
  const hasReplicas = new Set(config.shards.map(({ group }) => group)).size < config.shards.length
  const rows = policy.tiers.map((tier) => [
    tier.tier,
    readsRunOn(tier, hasReplicas && policy.routing.reads === 'replicas'),
    `${amount(tier.reserved, slots, Math.floor)}, ${amount(tier.kept, slots, Math.floor)} never lent`,
    amount(tier.max, slots, Math.ceil),
    String(tier.queue),
    tier.queueWaitMs === 0 ? untilTimeout(config) : formatDuration(tier.queueWaitMs),
    CONSISTENCY[tier.consistency],
  ])
  const all = [HEADER, ...rows]
  const widths = HEADER.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)))
  return [
    `of ${slots} slots of a shard:`,
    ...all.map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    ),
  ]
}

function readsRunOn({ pools, consistency }: TierPolicy, mayLeave: boolean): string {
  return mayLeave && consistency !== 'strong' ? pools.join(', then ') : 'primary'
}

function amount(share: SlotShare, limit: number, round: (value: number) => number): string {
  return String(slotsOf(share, limit, round))
}

function untilTimeout({ timeouts }: Config): string {
  return timeouts.queryWaitMs === 0 ? 'ever' : formatDuration(timeouts.queryWaitMs)
}
