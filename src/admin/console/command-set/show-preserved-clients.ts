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
  text('outcome', ({ client }) => outcomeOf(client)),
  text('reason', ({ client }) => reasonOf(client)),
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

/** `relocated`: kept, and what it had on its server connection is, or will be with its next request, on another one. */
function outcomeOf(client: PreservedClient): string {
  if (!client.kept) return 'dropped'
  return client.relocated ? 'relocated' : 'kept'
}

function reasonOf(client: PreservedClient): string | null {
  if (!client.kept) return client.reason
  return client.relocated ? 'its server connection was closed, and all of its state can be had again' : null
}
