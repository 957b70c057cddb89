import type { ShowCommand } from '../command.ts'
import { type Field, rowsOf, text } from '../table.ts'
import {
  AVERAGE_FIELDS,
  type DatabaseStats,
  databaseStats,
  FURTHER_TOTAL_FIELDS,
  TOTAL_FIELDS,
} from './stats-fields.ts'

const FIELDS: readonly Field<DatabaseStats>[] = [
  text('database', ({ database }) => database),
  ...TOTAL_FIELDS,
  ...AVERAGE_FIELDS,
  ...FURTHER_TOTAL_FIELDS,
]

export const showStats: ShowCommand = {
  kind: 'show',
  name: 'SHOW STATS',
  summary: 'Totals since the start and averages of the last period, by database. Times in microseconds.',
  columns: FIELDS,
  rows: (context) => rowsOf(FIELDS, databaseStats(context)),
}
