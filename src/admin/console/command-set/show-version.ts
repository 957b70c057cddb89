import type { RouterControl } from '../../router-control.ts'
import type { ShowCommand } from '../command.ts'
import { type Field, rowsOf, text } from '../table.ts'

const FIELDS: readonly Field<RouterControl>[] = [text('version', ({ version }) => `Switchyard ${version}`)]

export const showVersion: ShowCommand = {
  kind: 'show',
  name: 'SHOW VERSION',
  summary: 'The version of Switchyard.',
  columns: FIELDS,
  rows: ({ control }) => rowsOf(FIELDS, [control]),
}
