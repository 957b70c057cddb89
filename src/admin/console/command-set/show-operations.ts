import { type OperationRecord, requestText } from '../../../control/operations/operation.ts'
import type { ShowCommand } from '../command.ts'
import { type Field, int4, int8, rowsOf, text } from '../table.ts'

const FIELDS: readonly Field<OperationRecord>[] = [
  int4('id', ({ id }) => id),
  text('operation', ({ request }) => requestText(request)),
  text('state', ({ state }) => state),
  int4('done', ({ done }) => done),
  int4('steps', ({ steps }) => steps),
  text('step', ({ step }) => (step === '' ? null : step)),
  text('started', ({ startedAt }) => timeText(startedAt)),
  text('ended', ({ endedAt }) => timeText(endedAt)),
  int8('held_ms', ({ heldMs }) => heldMs),
  text('detail', ({ detail }) => (detail === '' ? null : detail)),
]

export const showOperations: ShowCommand = {
  kind: 'show',
  name: 'SHOW OPERATIONS',
  summary: 'Operations on shards of late, the newest first: how far they are, and for how long requests waited.',
  columns: FIELDS,
  rows: ({ control }) => rowsOf(FIELDS, control.operations().toReversed()),
}

function timeText(at: number): string | null {
  return at === 0 ? null : `${new Date(at).toISOString().slice(0, 19).replace('T', ' ')} UTC`
}
