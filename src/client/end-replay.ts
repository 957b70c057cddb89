import type { Echo } from '../server/client-delivery.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import { ERROR } from './client-host.ts'
import type { LosingSession } from './server-loss.ts'

const HINT = 'the client connection is kept; try again'
const TRANSACTION_LOST = ERROR(
  '40001',
  'the transaction was rolled back with its lost server connection, and could not be run again',
  HINT,
)
const READ_LOST = ERROR(
  '08006',
  'the server connection was lost, and the rest of the answer cannot be had elsewhere',
  HINT,
)

/**
 * What was run again does not answer as it did, or could not be run: what was answered before is forgotten, and what was not is
 * refused. `server`: what was sent to it of that, which is over; null: nothing was.
 */
export function endReplay(session: LosingSession, server: ServerConnection | null, echo: Echo, reason: string): void {
  const { settings, requests, host } = session
  const fields = { ...(echo.of === 'read' ? READ_LOST : TRANSACTION_LOST), detail: reason }
  session.echo = null
  session.meter.error()
  host.countPlane('replaysFailed')
  const { slot, user, database } = session
  host.log('info', 'replay failed', { client: slot, user, database, reason })
  if (echo.isMidMessage || !putBack(session, server, echo)) {
    session.close(reason, echo.isMidMessage ? null : { ...fields, severity: 'FATAL' })
    return
  }
  settings.loseServer(echo.of === 'transaction')
  requests.runs.reset()
  requests.abort(false)
  session.meter.abandoned()
  if (echo.of === 'transaction') requests.rejectTransaction(fields)
  else requests.reject(fields)
  session.goOn()
}

/** What comes next is what the client is owed an answer for. */
function putBack({ reader }: LosingSession, server: ServerConnection | null, { answered }: Echo): boolean {
  const sent = server?.work.sent.length ?? 0
  if (sent <= answered) return reader.drop(answered - sent)
  const again = server?.work.sent.whole ?? null
  return again !== null && reader.unread(again.subarray(answered))
}
