import { TIERS, type Tier } from '../../shard/tier.ts'

/** What one tier has to do with one shard of late. */
export interface TierSight {
  readonly held: number
  readonly waiting: number
  /** Transactions that began in the time looked at. */
  readonly admitted: number
  /** How long 99 of 100 waited at most, in milliseconds. */
  readonly waitMs: number
}

/** One shard, as the ladder sees it. */
export interface ShardSight {
  /** In the order of `TIERS`. */
  readonly tiers: readonly TierSight[]
  /** Why its server has too much to do, one phrase; null: it has not. */
  readonly overload: string | null
}

/**
 * How a shard stands with what tiers are promised.
 *
 * - pressed: a tier misses its objective while lower tiers are there. Something has to be done.
 * - strained: no tier does, but one works on an overloaded server, and lower ones are there. Those may go a bit slower.
 * - bare: a tier misses its objective, and nobody is there who could be asked for less.
 * - near: a tier waits more than half of what it may. What was done stays.
 * - calm: none does.
 */
export type Pressure =
  | { readonly kind: 'pressed' | 'strained' | 'bare'; readonly tier: number; readonly reason: string }
  | { readonly kind: 'near' }
  | { readonly kind: 'calm' }

/** Whoever waits less than this part of its objective is well off. */
const WELL = 0.5

/**
 * The pressure on a shard. `objectives`: most milliseconds that tiers should wait, in the order of `TIERS`, 0 = any time.
 * `protects`: the tier for which others have less already, −1: none. What becomes of tiers below it is what was wanted.
 */
export function pressureOn(sight: ShardSight, objectives: readonly number[], protects: number): Pressure {
  const { tiers, overload } = sight
  const last = protects < 0 ? TIERS.length - 1 : protects
  let isNear = false
  let strained: Pressure | null = null
  for (let tier = 0; tier <= last; tier++) {
    const objective = objectives[tier] ?? 0
    const { waitMs = 0 } = tiers[tier] ?? {}
    if (objective === 0) continue
    const name = TIERS[tier] as Tier
    if (waitMs > objective) {
      const reason = `tier ${name} waits ${tell(waitMs)} for its turn, and may wait ${tell(objective)}`
      return { kind: hasOthers(sight, tier) ? 'pressed' : 'bare', tier, reason }
    }
    isNear ||= waitMs > objective * WELL
    if (overload === null || !isAtWork(tiers[tier]) || !hasOthers(sight, tier)) continue
    strained ??= { kind: 'strained', tier, reason: `tier ${name} works on an overloaded server: ${overload}` }
  }
  if (strained !== null) return strained
  return { kind: isNear ? 'near' : 'calm' }
}

function isAtWork(tier: TierSight | undefined): boolean {
  return tier !== undefined && tier.held + tier.waiting + tier.admitted > 0
}

/** Tiers below this one have something there. */
function hasOthers({ tiers }: ShardSight, tier: number): boolean {
  return tiers.slice(tier + 1).some(isAtWork)
}

function tell(milliseconds: number): string {
  return milliseconds < 10 ? `${Math.round(milliseconds * 10) / 10} ms` : `${Math.round(milliseconds)} ms`
}
