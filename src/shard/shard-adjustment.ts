/** What the tiers get on one shard instead of what the policy says, while its load makes that necessary. */
export interface ShardAdjustment {
  /** Reservations are kept, not lent. */
  readonly keepsReserved: boolean
  /** Most slots of each tier, in the order of `TIERS`; null: what the policy says. */
  readonly most: readonly (number | null)[]
  /** Why, one phrase. */
  readonly reason: string
}
