import type { PreservationEntry, PreservedClient } from '../../router-control.ts'
import { formatSlotId } from '../../slot-id.ts'
import type { ShowCommand } from '../command.ts'
import { bool, type Field, float8, int4, int8, rowsOf, text } from '../table.ts'

interface Item {
  readonly entry: PreservationEntry
  readonly client: PreservedClient
}

const FIELDS: readonly Field<Item>[] = [
  int8('event_id', ({ entry }) => entry.id),
  int8('id', ({ client }) => formatSlotId(client)),
  text('outcome', ({ client }) => (client.kept ? 'kept' : 'dropped')),
  text('reason', ({ client }) => (client.kept ? null : client.reason)),
  bool('told', ({ client }) => (client.kept ? null : client.told)),
  float8('stall_ms', ({ entry, client }) => (client.kept ? entry.stallMs : null)),
  text('user', ({ client }) => client.user),
  text('database', ({ client }) => client.database),
  text('application_name', ({ client }) => client.applicationName),
  text('addr', ({ client }) => client.address),
  int4('port', ({ client }) => client.remotePort),
]

export const showPreservedClients: ShowCommand = {
  kind: 'show',
  name: 'SHOW PRESERVED_CLIENTS',
  summary: 'One row per client of the last upgrades and crashes: kept or dropped, why, how long it waited.',
  columns: FIELDS,
  rows: ({ control }) => rowsOf(FIELDS, items(control.preservation())),
}

function* items(entries: readonly PreservationEntry[]): Generator<Item> {
  for (const entry of entries) for (const client of entry.clients) yield { entry, client }
}
