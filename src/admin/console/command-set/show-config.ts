import type { Setting } from '../../router-control.ts'
import type { ShowCommand } from '../command.ts'
import { type Field, rowsOf, text } from '../table.ts'

const FIELDS: readonly Field<Setting>[] = [
  text('key', (setting) => setting.key),
  text('value', (setting) => setting.value),
  text('default', (setting) => setting.default),
  text('changeable', (setting) => (setting.changeable ? 'yes' : 'no')),
]

export const showConfig: ShowCommand = {
  kind: 'show',
  name: 'SHOW CONFIG',
  summary: 'Every setting, its default, and whether RELOAD applies a change. Secrets are masked.',
  columns: FIELDS,
  rows: ({ control }) => rowsOf(FIELDS, control.settings()),
}
