import type { ClientView } from '../../../memory/client-slots.ts'
import type { SharedState } from '../../../memory/shared-state.ts'
import { clientsOf, microsecondsSince, poolAt, timestampText } from '../../observe.ts'
import { clientId, serverId } from '../../slot-id.ts'
import type { ShowCommand } from '../command.ts'
import { type Field, int4, int8, rowsOf, text } from '../table.ts'

interface Item {
  readonly client: ClientView
  readonly id: number
  readonly memory: SharedState
  /** Microseconds. */
  readonly wait: number
}

const FIELDS: readonly Field<Item>[] = [
  text('type', () => 'C'),
  text('user', ({ client }) => client.user),
  text('database', ({ client }) => client.database),
  // The startup option is not kept; a pinned replication client is known, its kind is not.
  text('replication', ({ client }) => (client.pins.includes('replication') ? 'yes' : 'none')),
  text('state', ({ client }) => client.state),
  text('addr', ({ client }) => (client.unix ? 'unix' : client.address)),
  int4('port', ({ client }) => client.remotePort),
  text('local_addr', ({ client }) => (client.unix ? 'unix' : null)),
  int4('local_port', ({ client }) => client.localPort),
  text('connect_time', ({ client, memory }) => timestampText(memory, client.connectedAt)),
  text('request_time', ({ client, memory }) => timestampText(memory, client.requestAt)),
  int4('wait', ({ wait }) => Math.floor(wait / 1e6)),
  int4('wait_us', ({ wait }) => wait % 1e6),
  int4('close_needed', ({ client }) => (client.state === 'closing' ? 1 : 0)),
  text('ptr', ({ id }) => `0x${id.toString(16)}`),
  text('link', ({ client, memory }) => linkText(memory, client)),
  int4('remote_pid', () => 0),
  text('tls', ({ client }) => client.tls),
  text('application_name', ({ client }) => client.applicationName),
  int4('prepared_statements', ({ client }) => client.preparedStatements),
  int8('id', ({ id }) => id),
  text('shard', ({ client, memory }) => poolAt(memory, client.pool)?.shard ?? null),
  int4('plane', ({ client }) => client.plane),
  text('transaction_status', ({ client }) => client.transactionStatus),
  text('pinned', ({ client }) => client.pins.join(',')),
  text('pinned_since', ({ client, memory }) => timestampText(memory, client.pinnedAt)),
  int4('outstanding', ({ client }) => client.outstanding),
  int8('xact_count', ({ client }) => client.transactions),
  int8('query_count', ({ client }) => client.queries),
  int8('bytes_received', ({ client }) => client.bytesRead),
  int8('bytes_sent', ({ client }) => client.bytesWritten),
  text('tier', ({ client }) => client.tier),
  int4('channels', ({ client }) => client.channels),
]

export const showClients: ShowCommand = {
  kind: 'show',
  name: 'SHOW CLIENTS',
  summary: 'One row per client: where it comes from, what it does, why it keeps its server connection.',
  columns: FIELDS,
  rows: ({ control }) => rowsOf(FIELDS, items(control.memory, control.nowMonotonic())),
}

function* items(memory: SharedState, now: number): Generator<Item> {
  for (const client of clientsOf(memory)) {
    const wait = client.state === 'waiting' ? microsecondsSince(now, client.waitingSince) : 0
    yield { client, id: clientId(memory.clients, client.slot), memory, wait }
  }
}

function linkText(memory: SharedState, client: ClientView): string {
  return client.server === null ? '' : `0x${serverId(memory.servers, client.server).toString(16)}`
}
