import { optionalDatabase, requireDatabase } from '../arguments.ts'
import type { ActionCommand } from '../command.ts'

export const resume: ActionCommand = {
  kind: 'action',
  name: 'RESUME',
  argument: '[database]',
  summary: 'End PAUSE and KILL: waiting transactions go on.',
  prepare(argument) {
    const database = optionalDatabase('RESUME', argument)
    return async ({ control }) => {
      requireDatabase(control.values(), database)
      const before = control.pauses()
      const held = database === null ? before.all || before.databases.length > 0 : before.databases.includes(database)
      await control.resume(database)
      if (held) return []
      if (database !== null && before.all)
        return [`Everything is paused, not only "${database}": use RESUME without a name.`]
      return [database === null ? 'Nothing was paused.' : `The database "${database}" was not paused.`]
    }
  },
}
