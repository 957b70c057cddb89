import type { ShowCommand } from '../command.ts'
import { type Field, rowsOf, text } from '../table.ts'
import { type DatabaseStats, databaseStats, FURTHER_TOTAL_FIELDS, TOTAL_FIELDS } from './stats-fields.ts'

const FIELDS: readonly Field<DatabaseStats>[] = [
  text('database', ({ database }) => database),
  ...TOTAL_FIELDS,
  ...FURTHER_TOTAL_FIELDS,
]

export const showStatsTotals: ShowCommand = {
  kind: 'show',
  name: 'SHOW STATS_TOTALS',
  summary: 'The totals of SHOW STATS.',
  columns: FIELDS,
  rows: (context) => rowsOf(FIELDS, databaseStats(context)),
}
