import type { AddedShard } from './added-shard.ts'

/** Where one more shard goes, and how it is called. */
export interface ScaleChoice {
  readonly group: string
  /** Null: none but the built-in pools. */
  readonly pool: string | null
  readonly shard: string
}

/** What operations see of added shards, and may do to them. Each of these may be done again after it was interrupted. */
export interface ScaleWorld {
  /**
   * For a group, or a pool of the operator's. Throws RouterError: 42704 when there is no such thing, 55000 when it may have
   * no more or has no primary, 0A000 when nobody can make a server there.
   */
  choose(target: string): ScaleChoice
  /** The name of the added shard that is needed least; null: none was added. */
  leastNeeded(): string | null
  get(name: string): AddedShard | null
  /** Why nothing would be sent to one more shard of the choice; null: something would. */
  uselessness(choice: ScaleChoice): string | null
  /** Writes down that it is being made; does nothing when that was written down already. */
  begin(choice: ScaleChoice): void
  /** Settles when its server runs; rejects with the reason of `signal` when that is aborted. */
  create(name: string, signal: AbortSignal): Promise<void>
  /** Settles when it is a replica of its group that is hardly behind. */
  caughtUp(name: string, signal: AbortSignal): Promise<void>
  /** Planes hear of it. */
  serve(name: string): Promise<void>
  /** Planes hear no more of it. */
  leave(name: string): Promise<void>
  /** Settles when nothing is left of its server, and forgets it. */
  destroy(name: string): Promise<void>
  /** For transactions on a shard that leaves to end. Milliseconds. */
  readonly drainMs: number
}
