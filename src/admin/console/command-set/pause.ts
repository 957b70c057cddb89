import { RouterError } from '../../../errors.ts'
import { optionalDatabase, requireDatabase } from '../arguments.ts'
import type { ActionCommand } from '../command.ts'

export const pause: ActionCommand = {
  kind: 'action',
  name: 'PAUSE',
  argument: '[database]',
  summary: 'Let running transactions finish and make new ones wait; answers when no server connection is in use.',
  prepare(argument) {
    const database = optionalDatabase('PAUSE', argument)
    return async ({ control, signal }) => {
      requireDatabase(control.values(), database)
      const paused = control.pause(database)
      // The resume below settles it; what it settles with is no news to anybody.
      const aborted = new Promise<'aborted'>((resolve) => {
        if (signal.aborted) resolve('aborted')
        signal.addEventListener('abort', () => resolve('aborted'), { once: true })
      })
      if ((await Promise.race([paused, aborted])) === 'aborted') {
        await Promise.allSettled([control.resume(database), paused])
        throw new RouterError('57014', 'PAUSE was cancelled, and what it held has been resumed.', { origin: 'client' })
      }
      return []
    }
  },
}
