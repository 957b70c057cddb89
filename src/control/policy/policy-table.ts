import { formatDuration } from '../../config/duration.ts'
import type { Config } from '../../config/schema.ts'
import { type Policy, slotsOf, type TierPolicy, type TierRule } from '../../shard/policy.ts'
import { compilePolicy } from './compile-policy.ts'

const HEADER = [
  'tier',
  'reads run on',
  'slots reserved',
  'at most',
  'may wait',
  'for',
  'refused',
  'query',
  'transaction',
  'reads see',
]
const ORDINALS = ['first', 'second', 'third', 'last']
const CONSISTENCY = {
  session: 'what their session wrote',
  identity: 'what their application wrote',
  eventual: 'the state of up to routing.max_lag ago',
  strong: 'everything',
}

/** What of the shards matters here. */
interface Shards {
  readonly slots: number
  readonly mayLeave: boolean
}

/** What the policy means, tier by tier, and the rules: lines of a table for people. Shares are told for the shard with the fewest slots. */
export function policyTable(config: Config): readonly string[] {
  const policy = compilePolicy(config)
  const slots = Math.min(...config.shards.map((shard) => shard.slots ?? shard.maxConnections))
  const hasReplicas = new Set(config.shards.map(({ group }) => group)).size < config.shards.length
  const mayLeave = hasReplicas && policy.routing.reads === 'replicas'
  const rows = policy.tiers.map((tier) => [
    tier.tier,
    readsRunOn(tier, mayLeave),
    ...shares(tier, slots),
    String(tier.queue),
    tier.queueWaitMs === 0 ? untilTimeout(config) : formatDuration(tier.queueWaitMs),
    refusal(tier, policy.tiers),
    limit(shorter(tier.queryMs, config.timeouts.queryMs)),
    limit(tier.transactionMs),
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
    ...policy.rules.map((rule, index) => ruleText(rule, index, policy, { slots, mayLeave })),
  ]
}

/** Whose turn it is to be refused when too many wait. */
function refusal({ shedOrder }: TierPolicy, tiers: readonly TierPolicy[]): string {
  if (shedOrder === 0) return 'never'
  return `${ORDINALS[new Set(tiers.map((tier) => tier.shedOrder).filter((order) => order > shedOrder)).size]}`
}

function limit(milliseconds: number): string {
  return milliseconds === 0 ? 'no limit' : formatDuration(milliseconds)
}

/** Of two limits, each of which 0 switches off. */
function shorter(one: number, other: number): number {
  return one === 0 || other === 0 ? one + other : Math.min(one, other)
}

/** What holds for some clients instead, as a line. `slots`: of the shard with the fewest. */
function ruleText(rule: TierRule, index: number, policy: Policy, { slots, mayLeave }: Shards): string {
  const { max = null, queue = null, shedOrder = null, pools = null } = rule
  const parts = [
    rule.tier === null ? [] : [`tier ${rule.tier}`],
    pools === null ? [] : [`reads run on ${mayLeave ? pools.join(', then ') : 'primary'}`],
    rule.consistency === null ? [] : [`reads see ${CONSISTENCY[rule.consistency]}`],
    max === null ? [] : [`at most ${Math.max(1, slotsOf(max, slots, Math.ceil))} slots together`],
    queue === null ? [] : [`${queue} may wait`],
    shedOrder === null ? [] : [ruleRefusal(shedOrder, policy.tiers)],
    rule.queueWaitMs === null ? [] : [`wait for ${limit(rule.queueWaitMs)}`],
    rule.queryMs === null ? [] : [`query ${limit(rule.queryMs)}`],
    rule.transactionMs === null ? [] : [`transaction ${limit(rule.transactionMs)}`],
  ].flat()
  const who = `user ${rule.user}, database ${rule.database}, application ${rule.application}`
  return `rule ${index + 1}, ${who}: ${parts.length === 0 ? 'as their tier' : parts.join(', ')}`
}

/** The turn of a rule's clients to be refused, beside that of tiers. */
function ruleRefusal(shedOrder: number, tiers: readonly TierPolicy[]): string {
  if (shedOrder === 0) return 'never refused for others'
  const equals = tiers.filter((tier) => tier.shedOrder === shedOrder).map(({ tier }) => tier)
  if (equals.length > 0) return `refused when tier ${equals.join(' and ')} is`
  const behind = tiers
    .filter((tier) => tier.shedOrder < shedOrder)
    .sort((one, other) => other.shedOrder - one.shedOrder)
  return behind[0] === undefined ? 'refused last' : `refused before tier ${behind[0].tier}`
}

function readsRunOn({ pools, consistency }: TierPolicy, mayLeave: boolean): string {
  return mayLeave && consistency !== 'strong' ? pools.join(', then ') : 'primary'
}

/** As they are shared out: never more than the tier may have. */
function shares({ reserved, kept, max }: TierPolicy, slots: number): readonly [string, string] {
  const most = Math.max(1, slotsOf(max, slots, Math.ceil))
  const own = Math.min(most, slotsOf(reserved, slots, Math.floor))
  return [`${own}, ${Math.min(own, slotsOf(kept, slots, Math.floor))} never lent`, String(most)]
}

function untilTimeout({ timeouts }: Config): string {
  return timeouts.queryWaitMs === 0 ? 'ever' : formatDuration(timeouts.queryWaitMs)
}
