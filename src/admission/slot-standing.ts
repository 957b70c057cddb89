import type { ShardLoadView } from '../memory/shard-records.ts'
import { TIERS, type Tier } from '../shard/tier.ts'

/** What a transaction of this tier meets at a shard, in words; `loads`: of the shard, one for each plane that knows it. */
export function slotStanding(loads: readonly ShardLoadView[], tier: Tier): string {
  if (loads.length === 0) return 'nobody has asked for a slot there yet'
  const code = TIERS.indexOf(tier)
  let [held, allowed, waiting, all, limit] = [0, 0, 0, 0, 0]
  for (const { tiers, limit: most } of loads) {
    held += tiers[code]?.held ?? 0
    allowed += tiers[code]?.allowed ?? 0
    waiting += tiers[code]?.waiting ?? 0
    all += tiers.reduce((sum, each) => sum + each.held, 0)
    limit += most
  }
  const isFull = held >= allowed || all >= limit
  const who = waiting > 0 ? `, ${waiting} wait` : ''
  return `${isFull ? 'has to wait for a slot' : 'a slot is free'}: ${tier} has ${held} of ${allowed}, all tiers ${all} of ${limit}${who}`
}
