import { slotsOf, type TierPolicy } from '../../shard/policy.ts'
import type { ShardAdjustment } from '../../shard/shard-adjustment.ts'
import { type Ladder, STEPS } from './ladder.ts'

/**
 * What tiers get on a shard because of where it stands on the ladder; null: what the policy says. `tiers`: the policy, in the
 * order of `TIERS`. `slots`: of the shard. `objectives`: see `pressureOn`.
 */
export function adjustmentOf(
  { step, protects, reason }: Ladder,
  tiers: readonly TierPolicy[],
  slots: number,
  objectives: readonly number[],
): ShardAdjustment | null {
  if (step === 'none') return null
  const level = STEPS.indexOf(step)
  const most = tiers.map((policy, tier) => {
    if (tier <= protects) return null
    const max = slotsOf(policy.max, slots, Math.ceil)
    const half = Math.max(1, Math.ceil(max / 2))
    const isPromised = (objectives[tier] ?? 0) > 0
    if (level >= STEPS.indexOf('queue')) return isPromised ? half : 1
    return level >= STEPS.indexOf('shrink') && !isPromised ? half : null
  })
  return { step, reason, keepsReserved: tiers.map((_, tier) => tier <= protects), most }
}
