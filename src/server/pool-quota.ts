import type { ServerPool } from './server-pool.ts'

/** What limits a pool besides its own size: connections of the shard, the user, the database. */
export interface PoolQuota {
  /** Whether one more server connection may be opened; `mayEvict`: an idle one of another pool may be closed for it. */
  admit(pool: ServerPool, mayEvict: boolean): boolean
  /** A server connection is gone: other pools may have waited for the room. */
  released(pool: ServerPool): void
}
