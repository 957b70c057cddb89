import type { RouterEvent } from '../../../control/events/event-log.ts'
import type { ShowCommand } from '../command.ts'
import { type Field, int8, rowsOf, text } from '../table.ts'

const FIELDS: readonly Field<RouterEvent>[] = [
  int8('id', ({ id }) => id),
  text('time', ({ at }) => `${new Date(at).toISOString().slice(0, 23).replace('T', ' ')} UTC`),
  text('kind', ({ kind }) => kind),
  text('level', ({ level }) => level),
  text('shard', ({ shard }) => shard),
  text('event', ({ what }) => what),
  text('reason', ({ reason }) => (reason === '' ? null : reason)),
]

export const showEvents: ShowCommand = {
  kind: 'show',
  name: 'SHOW EVENTS',
  summary: 'What the control process found out and decided of late, the newest first, each with its reason.',
  columns: FIELDS,
  rows: ({ control }) => rowsOf(FIELDS, control.events().events),
}
