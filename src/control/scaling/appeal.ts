/** Why a shard needs another one beside it: all that may be taken from lower tiers there is taken, and it is not enough. */
export interface Appeal {
  /** Code of the tier that lacks something. */
  readonly tier: number
  /** One phrase. */
  readonly reason: string
  /** No lower tier was there to take from. */
  readonly isAlone: boolean
}
