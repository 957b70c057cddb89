import type { Command, ShowCommand } from '../command.ts'
import { type Field, rowsOf, text } from '../table.ts'

const FIELDS: readonly Field<Command>[] = [
  text('command', (command) =>
    command.kind === 'show' ? command.name : `${command.name} ${command.argument}`.trimEnd(),
  ),
  text('access', (command) => (command.kind === 'action' ? 'admin' : 'stats')),
  text('description', (command) => command.summary),
]

/** @param commands the registry, which has this command in it and is complete only later. */
export function createShowHelp(commands: () => readonly Command[]): ShowCommand {
  return {
    kind: 'show',
    name: 'SHOW HELP',
    summary: 'This list.',
    columns: FIELDS,
    rows: () => rowsOf(FIELDS, commands()),
  }
}
