/** What the tiers get on one shard instead of what the policy says, while its load makes that necessary. */
export interface ShardAdjustment {
  /** What is done, by its name on the ladder: `lend-less`, `shrink`, `queue`, `cancel`, `ask`. */
  readonly step: string
  /** Why, one phrase. */
  readonly reason: string
  /** Whether reservations are kept instead of lent, in the order of `TIERS`. */
  readonly keepsReserved: readonly boolean[]
  /** Most slots of each tier, in the order of `TIERS`; null: what the policy says. */
  readonly most: readonly (number | null)[]
}
