import { optionalDatabase, requireDatabase } from '../arguments.ts'
import type { ActionCommand } from '../command.ts'

export const reconnect: ActionCommand = {
  kind: 'action',
  name: 'RECONNECT',
  argument: '[database]',
  summary: 'Close each present server connection as soon as it is free; clients notice nothing.',
  prepare(argument) {
    const database = optionalDatabase('RECONNECT', argument)
    return async ({ control }) => {
      requireDatabase(control.values(), database)
      await control.reconnect(database)
      return []
    }
  },
}
