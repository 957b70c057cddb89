import type { ReportContext, ShowCommand } from '../console/command.ts'
import type { Row, Value } from '../console/table.ts'

const ROWS_PER_CHUNK = 200

/** A table as a JSON array of objects, in pieces, so that a reader who is slow makes the rest wait, not memory grow. */
export function* jsonReport(command: ShowCommand, context: ReportContext): Generator<string> {
  let text = '['
  let rows = 0
  for (const row of command.rows(context)) {
    text += `${rows === 0 ? '' : ','}\n${JSON.stringify(objectOf(command, row))}`
    rows++
    if (rows % ROWS_PER_CHUNK !== 0) continue
    yield text
    text = ''
  }
  yield `${text}\n]\n`
}

function objectOf({ columns }: ShowCommand, row: Row): Record<string, Value> {
  return Object.fromEntries(columns.map(({ name }, index) => [name, row[index] ?? null]))
}
