import { SOURCES, type TierSource } from '../memory/profile-records.ts'

/** No tier, where a code may stand. */
export const NO_TIER = -1

/** What may have a say in a connection's tier: codes, or `NO_TIER`. */
export interface TierVotes {
  /** The operator's rule. */
  rule: number
  /** What the client asked for, and whether its user may ask for more than it would get. */
  hint: number
  mayRaise: boolean
  /** The model, when it is allowed to speak. */
  model: number
  /** What the identity's connections were last. */
  identity: number
  fallback: number
  /** It did too much at once. */
  runaway: number
}

/** Who decides, as an index into `SOURCES`. */
export const SOURCE = Object.fromEntries(SOURCES.map((name, index) => [name, index])) as Record<TierSource, number>

/**
 * The tier: rules before hints before the model before what the identity was last before the default. A hint lowers
 * freely, for nobody gains by that; it raises only where the user may and no rule says otherwise. A runaway is lowered
 * whatever it is. Returns `code + 4 × source`, so that nothing is allocated: see `tierIn` and `sourceIn`.
 */
export function decideTier(votes: TierVotes): number {
  const { rule, hint, model, identity, fallback, runaway } = votes
  let tier = fallback
  let source = SOURCE.default
  if (rule !== NO_TIER) {
    tier = rule
    source = SOURCE.rule
  } else if (model !== NO_TIER) {
    tier = model
    source = SOURCE.model
  } else if (identity !== NO_TIER) {
    tier = identity
    source = SOURCE.identity
  }
  if (hint !== NO_TIER && (hint > tier || (hint < tier && votes.mayRaise && rule === NO_TIER))) {
    tier = hint
    source = SOURCE.hint
  }
  if (runaway > tier) {
    tier = runaway
    source = SOURCE.runaway
  }
  return tier + 4 * source
}

export function tierIn(decision: number): number {
  return decision & 3
}

export function sourceIn(decision: number): number {
  return decision >> 2
}
