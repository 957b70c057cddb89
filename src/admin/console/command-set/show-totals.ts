import type { ReportContext, ShowCommand } from '../command.ts'
import { type Field, int8, rowsOf, text } from '../table.ts'
import { AVERAGE_FIELDS, type DatabaseStats, FURTHER_TOTAL_FIELDS, TOTAL_FIELDS } from './stats-fields.ts'

type Item = readonly [name: string, value: number]

const FIELDS: readonly Field<Item>[] = [text('name', ([name]) => name), int8('value', ([, value]) => value)]

export const showTotals: ShowCommand = {
  kind: 'show',
  name: 'SHOW TOTALS',
  summary: 'SHOW STATS over all databases, one line per figure.',
  columns: FIELDS,
  rows: (context) => rowsOf(FIELDS, items(context)),
}

function items({ stats }: ReportContext): readonly Item[] {
  const all: DatabaseStats = { database: '', ...stats.overall() }
  return [...TOTAL_FIELDS, ...AVERAGE_FIELDS, ...FURTHER_TOTAL_FIELDS].map((field) => [
    field.name,
    Number(field.of(all)),
  ])
}
