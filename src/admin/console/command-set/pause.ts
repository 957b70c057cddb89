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
      if (!(await settledBefore(paused, signal))) {
        // Nobody waits for it any more; that it fails now is no news.
        paused.catch(() => undefined)
        await control.resume(database)
        throw new RouterError('57014', 'PAUSE was cancelled, and what it held has been resumed.', { origin: 'client' })
      }
      return []
    }
  },
}

/** False: the signal came first. Rejects as the promise does. */
async function settledBefore(promise: Promise<void>, signal: AbortSignal): Promise<boolean> {
  const aborted = new Promise<false>((resolve) => {
    signal.addEventListener('abort', () => resolve(false), { once: true })
    if (signal.aborted) resolve(false)
  })
  return Promise.race([promise.then(() => true), aborted])
}
