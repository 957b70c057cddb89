import { SERVER_STATE_NAMES, type ServerState } from '../../../memory/server-slots.ts'
import type { Shard } from '../../../shard/topology.ts'
import { poolAt, poolsOf, serversOf, timestampText } from '../../observe.ts'
import type { RouterControl } from '../../router-control.ts'
import type { ShowCommand } from '../command.ts'
import { bool, type Field, int4, int8, rowsOf, text } from '../table.ts'

type Counts = Record<ServerState, number>

interface Item {
  readonly shard: Shard
  readonly reason: string
  readonly probed: string | null
  readonly counts: Counts
  readonly transactions: number
  readonly connectFailures: number
}

const FIELDS: readonly Field<Item>[] = [
  int4('id', ({ shard }) => shard.id),
  text('name', ({ shard }) => shard.name),
  text('group', ({ shard }) => shard.group),
  text('role', ({ shard }) => shard.role),
  bool('up', ({ shard }) => shard.up),
  text('reason', ({ reason }) => reason),
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
]

export const showShards: ShowCommand = {
  kind: 'show',
  name: 'SHOW SHARDS',
  summary: 'One row per PostgreSQL server: role, health with its reason, connections.',
  columns: FIELDS,
  rows: ({ control }) => rowsOf(FIELDS, items(control)),
}

function items(control: RouterControl): readonly Item[] {
  const health = new Map(control.health().map((each) => [each.shard, each]))
  const byId = new Map<number, { counts: Counts; transactions: number; connectFailures: number }>()
  for (const { id } of control.topology().shards) {
    byId.set(id, { counts: emptyCounts(), transactions: 0, connectFailures: 0 })
  }
  for (const server of serversOf(control.memory)) {
    const entry = byId.get(poolAt(control.memory, server.pool)?.shardId ?? -1)
    if (entry !== undefined) entry.counts[server.state]++
  }
  for (const pool of poolsOf(control.memory)) {
    const entry = byId.get(pool.shardId)
    if (entry === undefined) continue
    entry.transactions += pool.totals.transactions
    entry.connectFailures += pool.totals.serverConnectFailures + pool.totals.serverLoginFailures
  }
  return control.topology().shards.map((shard) => ({
    shard,
    reason: health.get(shard.id)?.reason ?? 'not probed yet',
    probed: timestampText(control.memory, health.get(shard.id)?.probedAt ?? 0),
    ...(byId.get(shard.id) ?? { counts: emptyCounts(), transactions: 0, connectFailures: 0 }),
  }))
}

function emptyCounts(): Counts {
  return Object.fromEntries(SERVER_STATE_NAMES.map((state) => [state, 0])) as Counts
}
