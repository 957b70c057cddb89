import type { SlotShare, TierRule } from './policy.ts'

/** Whose rule it is: `user report-*, database shop`; those that are `*` are left out. */
export function ruleClients({ user, database, application }: TierRule): string {
  const parts = Object.entries({ user, database, application }).filter(([, pattern]) => pattern !== '*')
  return parts.length === 0 ? 'everybody' : parts.map(([field, pattern]) => `${field} ${pattern}`).join(', ')
}

/** What it says instead of its clients' tiers, by the keys of the configuration; durations in milliseconds. */
export function ruleSays(rule: TierRule): string {
  const { pools = null, max = null, queue = null, shedOrder = null } = rule
  const says = Object.entries({
    tier: rule.tier,
    pools: pools === null ? null : pools.join(', then '),
    consistency: rule.consistency,
    max: max === null ? null : shareText(max),
    queue,
    shed_order: shedOrder,
    queue_wait: milliseconds(rule.queueWaitMs),
    query: milliseconds(rule.queryMs),
    transaction: milliseconds(rule.transactionMs),
  }).flatMap(([key, value]) => (value === null ? [] : [`${key} = ${value}`]))
  return says.length === 0 ? 'nothing else than their tier' : says.join('; ')
}

/** `4` or `25%`. */
export function shareText({ slots, percent }: SlotShare): string {
  return percent > 0 ? `${percent}%` : String(slots)
}

function milliseconds(time: number | null): string | null {
  return time === null ? null : `${time} ms`
}
