import { STATUS } from '../protocol/message-type.ts'
import { type ErrorFields, writeError, writeReady } from '../protocol/messages.ts'
import { MessageWriter } from '../protocol/writer.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import { ERROR } from './client-host.ts'
import { endReplay } from './end-replay.ts'
import type { LosingSession } from './server-loss.ts'

const writer = new MessageWriter()

/** The request that waits for a server connection gets this error. */
export function rejectRequest(session: LosingSession, fields: ErrorFields): void {
  const { seat, meter, settings, requests } = session
  seat.leaveQueue()
  meter.waitEnds()
  if (session.echo !== null) {
    endReplay(session, null, session.echo, fields.message)
    return
  }
  // As any error in a transaction.
  if (settings.transaction.deferredBegin !== null) settings.loseServer(true)
  requests.reject(session.doubt?.giveUp(fields) ?? fields)
  session.doubt = null
  session.goOn()
}

/** The request that waits, if one does, is cancelled by its own client. */
export function cancelWaiting(session: LosingSession): boolean {
  if (session.state !== 'waiting') return false
  rejectRequest(session, ERROR('57014', 'canceling statement due to user request'))
  return true
}

/** The COMMIT, which is the next of what the client has sent, gets this error, and its transaction is over. */
export function refuseCommit(session: LosingSession, fields: ErrorFields): void {
  session.doubt = null
  if (session.state === 'waiting') {
    rejectRequest(session, fields)
    return
  }
  const { server, seat, settings, meter, requests } = session
  if (server !== null && server.queue.length > 0) seat.giveUp(false)
  else if (server !== null) seat.giveBack()
  settings.loseServer(false)
  meter.error()
  requests.reject(fields)
  session.goOn()
}

/** The server connection could not be put into the session's state, so nothing of what was sent behind has been run. */
export function refuseUnprepared(session: LosingSession, failure: ErrorFields): void {
  const { settings, seat, requests, meter } = session
  const { queue } = session.server as ServerConnection
  if (settings.pins !== 0) {
    session.close(failure.message, { ...failure, severity: 'FATAL' })
    return
  }
  const { promised, unfinished } = queue
  session.listening?.onServerLost()
  seat.giveUp(requests.midMessage)
  requests.statements?.book.abandon()
  requests.abort(unfinished)
  if (promised === 0 && !unfinished) requests.reject(failure)
  settings.loseServer(settings.transaction.idleStatus !== STATUS.idle)
  meter.error()
  meter.abandoned()
  writer.reset()
  for (let answer = 0; answer < promised; answer++) {
    writeError(writer, failure)
    writeReady(writer, session.idleStatus)
  }
  if (unfinished) writeError(writer, failure)
  session.goOn()
  session.send(writer.bytes)
}
