/** What a plane sees itself of the work on one shard. */
export interface ShardLoad {
  /** Transactions there now. */
  readonly busy: number
  /** Most that it may have. */
  readonly limit: number
  /** Milliseconds that a query takes, smoothed, with a memory for bad ones. */
  peakMs(now: number): number
}
