/** How important a connection is, the most important first. */
export type Tier = 'high' | 'medium' | 'low' | 'background'

/** All tiers, the most important first; a tier's index here is its code in shared memory. */
export const TIERS: readonly Tier[] = Object.freeze(['high', 'medium', 'low', 'background'])

/** What a connection is until there is evidence. */
export const DEFAULT_TIER: Tier = 'medium'

/** The code of a tier in shared memory: 0 is the most important. */
export function tierCode(tier: Tier): number {
  return TIERS.indexOf(tier)
}

/** The tier with a code of shared memory; the default for a code that is none. */
export function tierOf(code: number): Tier {
  return TIERS[code] ?? DEFAULT_TIER
}
