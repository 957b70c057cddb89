import { CLIENT, CLIENT_F64 } from '../memory/client-slots.ts'
import { POOL } from '../memory/pool-records.ts'
import type { Region } from '../memory/region.ts'
import { SERVER, SERVER_STATE } from '../memory/server-slots.ts'

/** The slots of all planes. */
export interface WaitersMemory {
  readonly clients: Region
  readonly servers: Region
  readonly pools: Region
}

/** Whom to look for. */
export interface WaitersQuest {
  /** Shard id. */
  readonly shard: number
  /** Whether this is a tier that is not to wait for the one that may have locked something. */
  readonly isAhead: (tier: number) => boolean
  /** Monotonic milliseconds: queries that were asked later than that are too young to be waited for. */
  readonly before: number
}

/**
 * Whether a query of such a tier, of any plane, has been without an answer on the shard since before then: it may wait for a lock
 * of somebody who gets less of the processors. Whether it really does only the server knows, and asking it would take longer.
 */
export function mayWaitForLock({ clients, servers, pools }: WaitersMemory, quest: WaitersQuest): boolean {
  const [c, s, p] = [clients.recordBytes >> 2, servers.recordBytes >> 2, pools.recordBytes >> 2]
  for (let slot = 0, at = 0; slot < servers.count; slot++, at += s) {
    if (servers.i32[at + SERVER.state] !== SERVER_STATE.active) continue
    const client = (servers.i32[at + SERVER.client] ?? 0) - 1
    const pool = (servers.i32[at + SERVER.pool] ?? 0) - 1
    if (client < 0 || pool < 0 || pools.i32[pool * p + POOL.shard] !== quest.shard) continue
    const askedAt = clients.f64[client * (c >> 1) + CLIENT_F64.queryAt] ?? 0
    if (askedAt > 0 && askedAt < quest.before && quest.isAhead(clients.i32[client * c + CLIENT.tier] ?? 0)) return true
  }
  return false
}
