import { CLIENT_STATE_NAMES, type ClientState, type ClientView } from '../memory/client-slots.ts'
import type { PoolView } from '../memory/pool-records.ts'
import { SERVER_STATE_NAMES, type ServerState } from '../memory/server-slots.ts'
import type { PlaneValues, PoolMode } from '../shard/plane-values.ts'
import { clientsOf, microsecondsSince, poolAt, poolsOf, serversOf } from './observe.ts'
import type { RouterControl } from './router-control.ts'

/** Who is in one pool now. Several planes may have a record of the same pool; they are one here. */
export interface PoolCensus {
  readonly database: string
  readonly user: string
  /** Null: clients that have not been routed to a shard yet. */
  readonly shard: string | null
  readonly mode: PoolMode | 'statement'
  /** Server connections that all planes together may have; null without a shard. */
  size: number | null
  paused: boolean
  readonly clients: Record<ClientState, number>
  pinned: number
  /** Of the client that waits longest, in microseconds. */
  longestWait: number
  readonly servers: Record<ServerState, number>
}

/**
 * One entry per (database, user, shard), in no order. Connections that are logging in are left out: their names are
 * only claims so far.
 */
export function takePoolCensus(control: RouterControl): readonly PoolCensus[] {
  const pools = new Map<string, PoolCensus>()
  for (const record of poolsOf(control.memory)) countRecord(pools, record)
  for (const client of clientsOf(control.memory)) countClient(pools, control, client)
  for (const server of serversOf(control.memory)) {
    const record = poolAt(control.memory, server.pool)
    if (record === null) continue
    entryOf(pools, record.database, record.user, record.shard, record.mode).servers[server.state]++
  }
  return [...pools.values()]
}

/** The mode that applies to a user of a database: the user's own, else the database's, else the default. */
export function poolModeOf(values: PlaneValues, database: string, user: string): PoolMode {
  const databaseValue =
    values.databases.find((each) => each.name === database) ?? values.databases.find((each) => each.name === '*')
  const userValue = values.users.find((each) => each.name === user)
  return userValue?.poolMode ?? databaseValue?.poolMode ?? values.pool.mode
}

function countRecord(pools: Map<string, PoolCensus>, record: PoolView): void {
  const entry = entryOf(pools, record.database, record.user, record.shard, record.mode)
  entry.size = (entry.size ?? 0) + record.size
  entry.paused ||= record.paused
}

function countClient(pools: Map<string, PoolCensus>, control: RouterControl, client: ClientView): void {
  const record = poolAt(control.memory, client.pool)
  if (client.state === 'login' || (client.state === 'closing' && record === null)) return
  const entry =
    record === null
      ? entryOf(pools, client.database, client.user, null, unroutedMode(control, client))
      : entryOf(pools, record.database, record.user, record.shard, record.mode)
  entry.clients[client.state]++
  if (client.pins.length > 0 && !client.console) entry.pinned++
  if (client.state === 'waiting') {
    entry.longestWait = Math.max(entry.longestWait, microsecondsSince(control.nowMonotonic(), client.waitingSince))
  }
}

function unroutedMode(control: RouterControl, client: ClientView): PoolCensus['mode'] {
  return client.console ? 'statement' : poolModeOf(control.values(), client.database, client.user)
}

function entryOf(
  pools: Map<string, PoolCensus>,
  database: string,
  user: string,
  shard: string | null,
  mode: PoolCensus['mode'],
): PoolCensus {
  const key = JSON.stringify([database, user, shard])
  let entry = pools.get(key)
  if (entry === undefined) {
    entry = {
      database,
      user,
      shard,
      mode,
      size: null,
      paused: false,
      clients: zeroCounts(CLIENT_STATE_NAMES),
      pinned: 0,
      longestWait: 0,
      servers: zeroCounts(SERVER_STATE_NAMES),
    }
    pools.set(key, entry)
  }
  return entry
}

function zeroCounts<State extends string>(states: readonly State[]): Record<State, number> {
  return Object.fromEntries(states.map((state) => [state, 0])) as Record<State, number>
}
