import type { ShowCommand } from '../command.ts'
import { type Field, rowsOf, text } from '../table.ts'
import { AVERAGE_FIELDS, type DatabaseStats, databaseStats } from './stats-fields.ts'

const FIELDS: readonly Field<DatabaseStats>[] = [text('database', ({ database }) => database), ...AVERAGE_FIELDS]

export const showStatsAverages: ShowCommand = {
  kind: 'show',
  name: 'SHOW STATS_AVERAGES',
  summary: 'The averages of SHOW STATS.',
  columns: FIELDS,
  rows: (context) => rowsOf(FIELDS, databaseStats(context)),
}
