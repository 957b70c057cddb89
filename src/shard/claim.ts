/**
 * What a transaction wants slots as, in one number: the code of its tier, and above it the place of the operator's rule by
 * which its clients are counted apart. Without such a rule it is the tier's code.
 */
export function claimOf(tier: number, rule: number): number {
  return ((rule + 1) << TIER_BITS) | tier
}

/** The code of its tier. */
export function tierOfClaim(claim: number): number {
  return claim & TIER_MASK
}

/** The place of its rule; −1: it has none. */
export function ruleOfClaim(claim: number): number {
  return (claim >> TIER_BITS) - 1
}

/** There are four tiers. */
const TIER_BITS = 2
const TIER_MASK = 3
