import { type PoolCensus, takePoolCensus } from '../../pool-census.ts'
import type { ShowCommand } from '../command.ts'
import { bool, type Field, int4, rowsOf, text } from '../table.ts'

const FIELDS: readonly Field<PoolCensus>[] = [
  text('database', (pool) => pool.database),
  text('user', (pool) => pool.user),
  int4('cl_active', ({ clients }) => clients.active + clients.idle),
  int4('cl_waiting', ({ clients }) => clients.waiting),
  // Cancel requests are passed on at once and have no client slot of a pool.
  int4('cl_active_cancel_req', () => 0),
  int4('cl_waiting_cancel_req', () => 0),
  int4('sv_active', ({ servers }) => servers.active),
  int4('sv_active_cancel', () => 0),
  int4('sv_being_canceled', ({ servers }) => servers.cancelling),
  int4('sv_idle', ({ servers }) => servers.idle),
  int4('sv_used', () => 0),
  int4('sv_tested', ({ servers }) => servers.tested + servers.resetting + servers.unlistening),
  int4('sv_login', ({ servers }) => servers.connecting + servers.login),
  int4('maxwait', ({ longestWait }) => Math.floor(longestWait / 1e6)),
  int4('maxwait_us', ({ longestWait }) => longestWait % 1e6),
  text('pool_mode', (pool) => pool.mode),
  text('load_balance_hosts', () => null),
  text('shard', (pool) => pool.shard),
  int4('cl_idle', ({ clients }) => clients.idle),
  int4('cl_pinned', (pool) => pool.pinned),
  int4('pool_size', (pool) => pool.size),
  bool('paused', (pool) => pool.paused),
  int4('sv_listening', ({ servers }) => servers.listening),
]

export const showPools: ShowCommand = {
  kind: 'show',
  name: 'SHOW POOLS',
  summary: 'One row per database, user and shard: clients and server connections by state, longest wait.',
  columns: FIELDS,
  rows: ({ control }) => rowsOf(FIELDS, [...takePoolCensus(control)].sort(byName)),
}

function byName(a: PoolCensus, b: PoolCensus): number {
  const key = (pool: PoolCensus): string => [pool.database, pool.user, pool.shard ?? ''].join('\0')
  return key(a) < key(b) ? -1 : 1
}
