import { type ClientView, readClient } from '../../../memory/client-slots.ts'
import type { PoolIdentity } from '../../../memory/pool-records.ts'
import type { ServerState, ServerView } from '../../../memory/server-slots.ts'
import type { SharedState } from '../../../memory/shared-state.ts'
import { poolAt, serversOf, timestampText } from '../../observe.ts'
import { clientId, serverId } from '../../slot-id.ts'
import type { ShowCommand } from '../command.ts'
import { type Field, int4, int8, rowsOf, text } from '../table.ts'

interface Item {
  readonly server: ServerView
  readonly id: number
  readonly pool: PoolIdentity | null
  readonly client: ClientView | null
  readonly memory: SharedState
}

/** PgBouncer's words for our states; `step` has ours. */
const PGBOUNCER_STATE: Readonly<Record<ServerState, string>> = {
  free: 'free',
  connecting: 'new',
  login: 'new',
  idle: 'idle',
  active: 'active',
  tested: 'tested',
  resetting: 'tested',
  cancelling: 'being_canceled',
  closing: 'closing',
  unlistening: 'tested',
  listening: 'active',
}

const FIELDS: readonly Field<Item>[] = [
  text('type', () => 'S'),
  // A connection of no pool serves one client for good: its console, or replication.
  text('user', ({ pool, client }) => pool?.serverUser ?? client?.user ?? null),
  text('database', ({ pool, client }) => pool?.database ?? client?.database ?? null),
  text('replication', ({ client }) => (client?.pins.includes('replication') ? 'yes' : 'none')),
  text('state', ({ server }) => PGBOUNCER_STATE[server.state]),
  text('addr', ({ server }) => server.address),
  int4('port', ({ server }) => server.remotePort),
  text('local_addr', () => null),
  int4('local_port', ({ server }) => server.localPort),
  text('connect_time', ({ server, memory }) => timestampText(memory, server.connectedAt)),
  text('request_time', ({ server, memory }) => timestampText(memory, server.requestAt)),
  int4('wait', () => 0),
  int4('wait_us', () => 0),
  int4('close_needed', ({ server }) => (server.state === 'closing' ? 1 : 0)),
  text('ptr', ({ id }) => `0x${id.toString(16)}`),
  text('link', ({ server, memory }) => linkText(memory, server)),
  int4('remote_pid', ({ server }) => server.backendPid),
  text('tls', ({ server }) => server.tls),
  text('application_name', ({ client }) => client?.applicationName ?? ''),
  int4('prepared_statements', ({ server }) => server.preparedStatements),
  int8('id', ({ id }) => id),
  text('shard', ({ pool }) => pool?.shard ?? null),
  int4('plane', ({ server }) => server.plane),
  text('step', ({ server }) => server.state),
  text('transaction_status', ({ server }) => server.transactionStatus),
  text('pinned', ({ client }) => client?.pins.join(',') ?? ''),
  text('server_database', ({ pool }) => pool?.serverDatabase ?? null),
  text('server_version', ({ server }) => server.serverVersion),
  int4('outstanding', ({ server }) => server.outstanding),
  int8('xact_count', ({ server }) => server.transactions),
  int8('query_count', ({ server }) => server.queries),
  int8('bytes_received', ({ server }) => server.bytesRead),
  int8('bytes_sent', ({ server }) => server.bytesWritten),
  int4('nice', ({ server }) => server.niceness),
]

export const showServers: ShowCommand = {
  kind: 'show',
  name: 'SHOW SERVERS',
  summary: 'One row per connection to a shard, with the client it serves.',
  columns: FIELDS,
  rows: ({ control }) => rowsOf(FIELDS, items(control.memory)),
}

function* items(memory: SharedState): Generator<Item> {
  for (const server of serversOf(memory)) {
    const client = server.client === null ? null : readClient(memory.clients, server.client)
    yield { server, id: serverId(memory.servers, server.slot), pool: poolAt(memory, server.pool), client, memory }
  }
}

function linkText(memory: SharedState, server: ServerView): string {
  return server.client === null ? '' : `0x${clientId(memory.clients, server.client).toString(16)}`
}
