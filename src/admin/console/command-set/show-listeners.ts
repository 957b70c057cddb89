import type { PoolIdentity } from '../../../memory/pool-records.ts'
import type { ServerView } from '../../../memory/server-slots.ts'
import type { SharedState } from '../../../memory/shared-state.ts'
import { poolAt, serversOf, timestampText } from '../../observe.ts'
import { serverId } from '../../slot-id.ts'
import type { ShowCommand } from '../command.ts'
import { type Field, int4, int8, rowsOf, text } from '../table.ts'

interface Item {
  readonly server: ServerView
  readonly id: number
  readonly pool: PoolIdentity | null
  readonly memory: SharedState
}

const FIELDS: readonly Field<Item>[] = [
  text('shard', ({ pool }) => pool?.shard ?? null),
  text('server_database', ({ pool }) => pool?.serverDatabase ?? null),
  text('user', ({ pool }) => pool?.serverUser ?? null),
  int4('channels', ({ server }) => server.channels),
  int4('clients', ({ server }) => server.listeners),
  int8('notifications', ({ server }) => server.notifications),
  int8('deliveries', ({ server }) => server.deliveries),
  text('connect_time', ({ server, memory }) => timestampText(memory, server.connectedAt)),
  int4('remote_pid', ({ server }) => server.backendPid),
  text('ptr', ({ id }) => `0x${id.toString(16)}`),
  int4('plane', ({ server }) => server.plane),
]

export const showListeners: ShowCommand = {
  kind: 'show',
  name: 'SHOW LISTENERS',
  summary: 'One row per connection that listens for all clients of a database: channels, clients, notifications.',
  columns: FIELDS,
  rows: ({ control }) => rowsOf(FIELDS, items(control.memory)),
}

function* items(memory: SharedState): Generator<Item> {
  for (const server of serversOf(memory)) {
    if (server.state !== 'listening') continue
    yield { server, id: serverId(memory.servers, server.slot), pool: poolAt(memory, server.pool), memory }
  }
}
