import { connectionsOf } from '../../../control/monitor/load-sample.ts'
import { SERVER_STATE_NAMES, type ServerState } from '../../../memory/server-slots.ts'
import { readShardLoad } from '../../../memory/shard-records.ts'
import type { Shard } from '../../../shard/topology.ts'
import { poolAt, poolsOf, serversOf, timestampText } from '../../observe.ts'
import type { RouterControl, ShardHealth } from '../../router-control.ts'
import { lagBytes } from '../../shard-lag.ts'
import type { ShowCommand } from '../command.ts'
import { bool, type Field, float8, int4, int8, rowsOf, text } from '../table.ts'

type Counts = Record<ServerState, number>

interface Totals {
  readonly counts: Counts
  transactions: number
  connectFailures: number
  errors: number
}

/** What the planes have there now. */
interface Work {
  readonly held: number
  readonly waiting: number
  readonly slots: number
  readonly latencyMs: number
}

interface Item extends Totals {
  readonly shard: Shard
  readonly health: ShardHealth | null
  readonly probed: string | null
  readonly since: string | null
  readonly lagBytes: number | null
  readonly work: Work
}

const loaded =
  (of: (load: NonNullable<ShardHealth['load']>) => number | null) =>
  ({ health }: Item): number | null =>
    health?.load ? of(health.load) : null

const rated =
  (of: (rates: NonNullable<ShardHealth['rates']>) => number) =>
  ({ health }: Item): number | null =>
    health?.rates ? Math.round(of(health.rates) * 10) / 10 : null

const FIELDS: readonly Field<Item>[] = [
  int4('id', ({ shard }) => shard.id),
  text('name', ({ shard }) => shard.name),
  text('group', ({ shard }) => shard.group),
  text('role', ({ shard }) => shard.role),
  bool('up', ({ shard }) => shard.up),
  text('reason', ({ health }) => health?.reason ?? 'not probed yet'),
  text('probe_time', ({ probed }) => probed),
  text('host', ({ shard }) => shard.host),
  int4('port', ({ shard }) => shard.port),
  text('address', ({ shard }) => shard.address),
  int4('sv_active', ({ counts }) => counts.active),
  int4('sv_idle', ({ counts }) => counts.idle),
  int4('sv_login', ({ counts }) => counts.connecting + counts.login),
  int4('current_connections', ({ counts }) => SERVER_STATE_NAMES.reduce((sum, state) => sum + counts[state], 0)),
  int4('max_connections', ({ shard }) => shard.maxConnections),
  int8('xact_count', ({ transactions }) => transactions),
  int8('connect_failures', ({ connectFailures }) => connectFailures),
  text('health', ({ shard, health }) => health?.health ?? shard.health),
  text('since', ({ since }) => since),
  text('adjusted', ({ shard }) => shard.adjustment?.step ?? null),
  int4('held', ({ work }) => work.held),
  int4('waiting', ({ work }) => work.waiting),
  int4('slots', ({ work }) => work.slots),
  float8('latency_ms', ({ work }) => work.latencyMs),
  int8('errors', ({ errors }) => errors),
  float8(
    'answer_ms',
    loaded(({ tookMs }) => Math.round(tookMs * 10) / 10),
  ),
  int4(
    'pg_active',
    loaded(({ sessions }) => sessions.active),
  ),
  int4(
    'pg_idle',
    loaded(({ sessions }) => sessions.idle),
  ),
  int4(
    'pg_in_xact',
    loaded(({ sessions }) => sessions.inTransaction),
  ),
  int4(
    'pg_hidden',
    loaded(({ sessions }) => sessions.hidden),
  ),
  int4(
    'wait_lock',
    loaded(({ waits }) => waits.lock),
  ),
  int4(
    'wait_lwlock',
    loaded(({ waits }) => waits.lwlock),
  ),
  int4(
    'wait_io',
    loaded(({ waits }) => waits.io),
  ),
  int8(
    'oldest_xact_ms',
    loaded(({ oldestTransactionMs }) => oldestTransactionMs),
  ),
  int4('pg_connections', loaded(connectionsOf)),
  int4(
    'pg_max_connections',
    loaded(({ maxConnections }) => maxConnections),
  ),
  int8('lag_bytes', ({ lagBytes: bytes }) => bytes),
  int8(
    'lag_ms',
    loaded(({ replayDelayMs }) => replayDelayMs),
  ),
  float8(
    'xact_per_s',
    rated(({ transactions }) => transactions),
  ),
  float8(
    'tuples_read_per_s',
    rated(({ tuplesReturned }) => tuplesReturned),
  ),
  float8(
    'tuples_written_per_s',
    rated(({ tuplesWritten }) => tuplesWritten),
  ),
  float8(
    'blocks_read_per_s',
    rated(({ blocksRead }) => blocksRead),
  ),
  float8(
    'mean_active',
    rated(({ meanActive }) => meanActive),
  ),
]

export const showShards: ShowCommand = {
  kind: 'show',
  name: 'SHOW SHARDS',
  summary: 'One row per PostgreSQL server: role, health with its reason, connections, load.',
  columns: FIELDS,
  rows: ({ control }) => rowsOf(FIELDS, items(control)),
}

function items(control: RouterControl): readonly Item[] {
  const all = control.health()
  const totals = totalsByShard(control)
  return control.topology().shards.map((shard) => {
    const health = all.find((each) => each.shard === shard.id) ?? null
    return {
      shard,
      health,
      probed: timestampText(control.memory, health?.probedAt ?? 0),
      since: timestampText(control.memory, health?.since ?? 0),
      lagBytes: lagBytes(control, shard, all),
      work: workOn(control, shard.id),
      ...(totals.get(shard.id) ?? noTotals()),
    }
  })
}

function totalsByShard(control: RouterControl): ReadonlyMap<number, Totals> {
  const byId = new Map<number, Totals>(control.topology().shards.map(({ id }) => [id, noTotals()]))
  for (const server of serversOf(control.memory)) {
    const entry = byId.get(poolAt(control.memory, server.pool)?.shardId ?? -1)
    if (entry !== undefined) entry.counts[server.state]++
  }
  for (const pool of poolsOf(control.memory)) {
    const entry = byId.get(pool.shardId)
    if (entry === undefined) continue
    entry.transactions += pool.totals.transactions
    entry.connectFailures += pool.totals.serverConnectFailures + pool.totals.serverLoginFailures
    entry.errors += pool.totals.errors
  }
  return byId
}

function noTotals(): Totals {
  const counts = Object.fromEntries(SERVER_STATE_NAMES.map((state) => [state, 0])) as Counts
  return { counts, transactions: 0, connectFailures: 0, errors: 0 }
}

function workOn({ memory }: RouterControl, shard: number): Work {
  let work: Work = { held: 0, waiting: 0, slots: 0, latencyMs: 0 }
  for (let plane = 0; plane < memory.geometry.planes; plane++) {
    const load = readShardLoad(memory.shards, plane, shard)
    if (load === null) continue
    work = {
      held: load.tiers.reduce((sum, { held }) => sum + held, work.held),
      waiting: load.tiers.reduce((sum, { waiting }) => sum + waiting, work.waiting),
      slots: work.slots + load.limit,
      latencyMs: Math.max(work.latencyMs, Math.round(load.peakLatencyMs * 100) / 100),
    }
  }
  return work
}
