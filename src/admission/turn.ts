/** Whoever may not go on at all. */
export const NEVER = Number.POSITIVE_INFINITY

/** Tiers below the highest, plus one: behind everybody whose reservation is not used up. */
const BEHIND_RESERVED = 4

/**
 * When a transaction that waits has its turn; smaller is sooner, and among equals the one that waits longer goes first.
 *
 * 1. Tiers that have less than is reserved for them, and whoever has waited so long that it has aged past all tiers.
 * 2. The rest, the higher tier first; each `ageMs` of waiting counts as one tier.
 *
 * `tier` is a tier's code, `waitedMs` how long it has waited.
 */
export function turn(tier: number, waitedMs: number, isUnderReserve: boolean, ageMs: number): number {
  const aged = tier - Math.floor(waitedMs / ageMs)
  if (isUnderReserve || aged < 0) return Math.max(0, aged)
  return BEHIND_RESERVED + aged
}
