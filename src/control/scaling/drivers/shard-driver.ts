import type { Lsn } from '../../../util/lsn.ts'

/** Where a server's log stands. */
export interface WalPosition {
  readonly isInRecovery: boolean
  /** What it has on disk: written on a primary, received on a replica. */
  readonly received: Lsn
  /** What its queries see. */
  readonly replayed: Lsn
}

/** How an old primary became a replica. */
export type Rejoining = 'followed' | 'cloned'

/**
 * The server's part of operations on shards. Shards go by name. Everything may be called again after it was interrupted:
 * what is done already is not done twice.
 */
export interface ShardDriver {
  /** `local`, `hook`. */
  readonly kind: string
  /** Whether it can do anything to this shard. */
  manages(shard: string): boolean
  /** Makes the next stop short. */
  checkpoint(shard: string): Promise<void>
  /** Shuts the server down in good order; settles when nothing of it runs any more. Replicas have all of its log then. */
  stop(shard: string): Promise<void>
  /** From its next start on the shard runs these programs; null: those of the place it had them from. Returns what was. */
  use(shard: string, binDirectory: string | null): string | null
  /** Settles when it takes queries. */
  start(shard: string): Promise<void>
  /** Ends everything that runs on the shard's data, at once, so that it can never commit anything again. */
  fence(shard: string): Promise<void>
  /** Null: the server does not say. Rejects when it does not answer. */
  position(shard: string): Promise<WalPosition | null>
  /** Where the log of a stopped server ends when it was shut down in good order; null: it was not, or nobody knows. */
  cleanEnd(shard: string): Promise<Lsn | null>
  /** Names of replicas without which no commit of this primary is acknowledged; empty: it does not wait for any. */
  synchronousStandbys(shard: string): Promise<string>
  /** Before a replica becomes primary: log is kept there for `others`. */
  prepare(shard: string, others: readonly string[]): Promise<void>
  /** A replica becomes primary; settles when it takes writes. */
  promote(shard: string): Promise<void>
  /** A running or stopped replica, or a primary that was stopped in good order, follows `primary` from now on, and runs. */
  follow(shard: string, primary: string): Promise<void>
  /**
   * A stopped primary that was lost becomes a replica of `primary`, by all means: as it is, or as a new copy. `wasTried`: it has had its
   * time to follow as it is.
   */
  rejoin(shard: string, primary: string, wasTried: boolean): Promise<Rejoining>
  /** Settles when `shard` streams from `primary`; false: not within `timeoutMs`. */
  streams(shard: string, primary: string, timeoutMs: number): Promise<boolean>
}
