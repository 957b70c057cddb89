import { timestampText } from '../../observe.ts'
import type { RouterControl } from '../../router-control.ts'
import type { ShowCommand } from '../command.ts'
import { type Field, rowsOf, text } from '../table.ts'

type Item = readonly [key: string, value: string]

const FIELDS: readonly Field<Item>[] = [text('key', ([key]) => key), text('value', ([, value]) => value)]

export const showState: ShowCommand = {
  kind: 'show',
  name: 'SHOW STATE',
  summary: 'Whether the router is paused, since when it runs, what troubles it.',
  columns: FIELDS,
  rows: ({ control }) => rowsOf(FIELDS, items(control)),
}

function items(control: RouterControl): readonly Item[] {
  const pauses = control.pauses()
  return [
    ['active', pauses.all ? 'no' : 'yes'],
    ['paused', pauses.all ? 'yes' : 'no'],
    ['suspended', 'no'],
    ['paused_databases', pauses.databases.join(', ')],
    ['started', timestampText(control.memory, control.startedAt) ?? ''],
    ['upgrade', control.upgradeStatus()],
    ['troubles', control.troubles().join('; ')],
  ]
}
