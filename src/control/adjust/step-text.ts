import { TIERS } from '../../shard/tier.ts'
import { type Ladder, STEPS } from './ladder.ts'

/** What has changed on a shard, as a phrase. */
export function stepText(shard: string, before: Ladder, after: Ladder): string {
  const tier = TIERS[after.protects] ?? ''
  if (after.step !== 'none' && STEPS.indexOf(after.step) < STEPS.indexOf(before.step)) {
    return `${shard} gives back a part: ${before.step} → ${after.step}`
  }
  switch (after.step) {
    case 'none':
      return `${shard} gives everybody what the policy says again`
    case 'lend-less':
      return `${shard} does not lend the reservations of tier ${tier} any more`
    case 'shrink':
      return `${shard} gives tiers below ${tier} half of their slots`
    case 'queue':
      return `${shard} lets tiers below ${tier} wait`
    case 'cancel':
      return `${shard} has long reads of tiers below ${tier} cancelled`
    case 'ask':
      return `${shard} needs a further shard beside it`
  }
}
