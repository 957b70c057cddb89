import { reasonsText } from '../../../continuity/report.ts'
import { lostWorkText } from '../../../memory/lost-work.ts'
import type { SharedState } from '../../../memory/shared-state.ts'
import { timestampText } from '../../observe.ts'
import type { PreservationEntry } from '../../router-control.ts'
import type { ShowCommand } from '../command.ts'
import { type Field, float8, int4, int8, rowsOf, text } from '../table.ts'

interface Item {
  readonly entry: PreservationEntry
  readonly memory: SharedState
}

const FIELDS: readonly Field<Item>[] = [
  int8('event_id', ({ entry }) => entry.id),
  text('event', ({ entry }) => entry.event),
  int4('plane', ({ entry }) => entry.plane),
  text('began', ({ entry, memory }) => timestampText(memory, entry.beganAt)),
  float8('stall_ms', ({ entry }) => entry.stallMs),
  int8('kept', ({ entry }) => entry.kept),
  int8('relocated', ({ entry }) => entry.relocated ?? 0),
  int8('dropped', ({ entry }) => entry.dropped),
  int8('told', ({ entry }) => entry.told),
  text('reasons', ({ entry }) => reasonsText(entry)),
  text('work', ({ entry }) => lostWorkText(entry.work)),
]

export const showPreservation: ShowCommand = {
  kind: 'show',
  name: 'SHOW PRESERVATION',
  summary:
    'One row per upgrade, crash of a plane, and operation on shards, newest first: how many clients were kept or dropped, why, the stall.',
  columns: FIELDS,
  rows: ({ control }) => rowsOf(FIELDS, items(control.preservation(), control.memory)),
}

function* items(entries: readonly PreservationEntry[], memory: SharedState): Generator<Item> {
  for (const entry of entries) yield { entry, memory }
}
