import type { ShardAdjustment } from './shard-adjustment.ts'

/** Detected with `pg_is_in_recovery()`, never configured. */
export type ShardRole = 'primary' | 'replica' | 'unknown'

/**
 * How a shard is, as the control process believes.
 *
 * - unknown: not probed yet. starting, down: not in use. draining: an operator wants nothing new to go there.
 * - up. suspect: an answer is overdue; a replica gets nothing new. overloaded: in use, but others are preferred.
 */
export type ShardHealth = 'unknown' | 'starting' | 'up' | 'suspect' | 'overloaded' | 'draining' | 'down'

/** One PostgreSQL server. Frozen; a change is a new topology with a higher version. */
export interface Shard {
  /** Index into the shard table of shared memory; the same for as long as the name is configured. */
  readonly id: number
  readonly name: string
  readonly group: string
  /** As configured: what certificates are checked against and what people read. */
  readonly host: string
  /** What the plane dials without asking anybody: a numeric address, or the path of a Unix socket (`/…/.s.PGSQL.5432`). Null: not resolved. */
  readonly address: string | null
  readonly port: number
  readonly role: ShardRole
  /** False when the last probe failed; the plane still tries when it has nothing better. */
  readonly up: boolean
  readonly health: ShardHealth
  /** Server connections that all planes together may hold on this shard. */
  readonly maxConnections: number
  /** Transactions that it may have at once; null: as many as connections. */
  readonly slots: number | null
  /** Where it is; null: nowhere in particular. */
  readonly zone: string | null
  /** Of the server's data, where it runs on this machine and the router manages it; null: it does not. */
  readonly dataDirectory: string | null
  /** What tiers get less of there because of the load; null: nothing. */
  readonly adjustment: ShardAdjustment | null
}

/** What is known of all shards at one moment. */
export interface Topology {
  readonly version: number
  readonly shards: readonly Shard[]
}
