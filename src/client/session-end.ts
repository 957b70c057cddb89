import { type ErrorFields, writeError } from '../protocol/messages.ts'
import { MessageWriter } from '../protocol/writer.ts'
import { FATAL } from './client-host.ts'
import type { ClientSession } from './client-session.ts'

const writer = new MessageWriter()

/** Gives back all that a session has, which is closing for this reason; `fields`, if any, are the last words to its client. */
export function endSession(session: ClientSession, reason: string, fields: ErrorFields | null): void {
  const { host, slot, user, database, choice, seat, requests, memory } = session
  session.deadlines.stop()
  session.review?.stop()
  session.doubt?.stop()
  session.reader.release()
  host.analyzer.disconnected(slot, host.now)
  session.greeting?.abandon()
  session.listening?.close()
  seat.abandon(requests.midMessage || session.greeting !== null)
  requests.statements?.book.end()
  host.records.release(session)
  if (choice !== null) {
    host.sessions.countLogin(session, -1)
    host.poolChoices.release(choice)
    session.choice = null
  }
  const { address } = memory
  host.log(fields === null ? 'debug' : 'info', 'client closed', { client: slot, user, database, address, reason })
  sayLastWords(session, fields)
}

/** The plane drains: a client without a transaction is told now, the others when theirs is over. */
export function endIfDrained(session: ClientSession): void {
  const { server, seat, settings, listening, greeting, requests, state } = session
  const inTransaction = server?.inTransaction === true || settings.transaction.deferredBegin !== null
  const isOwed = seat.isOwed || listening?.isHolding === true
  // A server connection is being asked about its settings: it is about to be welcomed.
  const isWelcoming = greeting !== null && server !== null
  const isBusy = state === 'waiting' || isOwed || inTransaction || isWelcoming || requests.midMessage
  if (state === 'closing' || isBusy) return
  session.close('draining', FATAL('57P01', 'terminating connection: the router is shutting down'))
}

function sayLastWords(session: ClientSession, fields: ErrorFields | null): void {
  const { link } = session
  if (fields !== null) writeError(writer.reset(), fields)
  // Without last words, what it was answered before may still be on its way.
  const isSpeaking = fields === null ? link.isDelivering : link.send(writer.bytes)
  if (!isSpeaking) {
    link.farewell()
    session.finish()
    return
  }
  session.deadlines.lastWords(fields === null)
  link.hangUp()
  link.resumeReading()
}
