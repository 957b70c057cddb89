import { readMark } from '../continuity/commit-outcome.ts'
import { STATUS } from '../protocol/message-type.ts'
import { MessageWriter } from '../protocol/writer.ts'
import type { ServerLoss } from '../server/reply-sink.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import { FATAL } from './client-host.ts'
import { CommitDoubt, type DoubtingSession } from './commit-doubt.ts'
import { describeLoss, explainLoss } from './loss.ts'
import { isLoneCommit } from './lost-requests.ts'
import { runAgain } from './run-again.ts'
import type { AnsweredSession } from './session-answers.ts'

const writer = new MessageWriter()

/** The session whose server connection died. */
export interface LosingSession extends AnsweredSession, DoubtingSession {
  doubt: CommitDoubt | null
}

/** Its server connection has died: what was asked is asked again or looked up, or its client is told. */
export function dealWithLoss(session: LosingSession, loss: ServerLoss): void {
  const server = session.seat.lose()
  if (session.state === 'closing') return
  session.relocation?.onServerLost()
  const { settings, requests, listening } = session
  if (server.attempt?.isOpen === true && settings.tiesTo(server) === 0 && !loss.midMessage && listening === null) {
    askElsewhere(session, server, false)
    return
  }
  requests.statements?.book.abandon()
  if (settings.tiesTo(server) === 0 && listening?.onServerLost() === true) {
    settings.loseServer(false)
    if (!listening.isOver) session.goOn()
    return
  }
  if (session.doubt === null && runAgain(session, server, loss, session.host.opinion)) {
    settings.changeServer()
    goOnAgain(session)
    return
  }
  const isDealtWith =
    session.doubt === null ? lookUp(session, server, loss) : doubtStill(session, session.doubt, server, loss)
  if (isDealtWith) {
    settings.loseServer(false)
    goOnAgain(session)
  } else tell(session, server, loss)
}

/** What was asked is back where it came from, and comes again. */
function goOnAgain(session: LosingSession): void {
  session.requests.abort(false)
  session.meter.abandoned()
  session.goOn()
}

/** Nothing of the answer has gone to the client, so what it asked for is asked again. `isForGood`: never of a replica. */
export function askElsewhere(session: LosingSession, server: ServerConnection, isForGood: boolean): void {
  const { seat, requests, settings } = session
  const request = seat.askElsewhere(server)
  const book = requests.statements?.book ?? null
  book?.abandon()
  if (isForGood) seat.refuse(request, book)
  settings.changeServer()
  requests.abort(false)
  if (session.reader.unread(request)) session.goOn()
  else session.close('out of buffers', FATAL('53200', 'out of memory for buffers of waiting clients'))
}

/** A COMMIT was sent, and its transaction is known well enough to ask what became of it. */
function lookUp(session: LosingSession, server: ServerConnection, loss: ServerLoss): boolean {
  const { settings, requests, host } = session
  const isCommit = settings.ending(server.queue) === 'commit' && server.status === STATUS.inTransaction
  const isTied = session.greeting !== null || session.listening !== null || !settings.leavesNothing
  if (!isCommit || isTied || !isWithoutAnswer(session, server, loss)) return false
  const mark = readMark(server.mark.rows)
  const { pending } = server.sent
  if (mark === null || pending === null) return false
  if (!isLoneCommit(pending, (name) => requests.statements?.book.tailOf(name) ?? null)) return false
  if (!session.reader.unread(pending)) return false
  session.doubt = new CommitDoubt(session, mark, host.now - server.createdAt)
  return true
}

/** The same for a session whose COMMIT is being looked up already. */
function doubtStill(session: LosingSession, doubt: CommitDoubt, server: ServerConnection, loss: ServerLoss): boolean {
  doubt.onServerLost()
  if (loss.promised === 0 && !loss.unfinished) return true
  const { pending } = server.sent
  return pending !== null && isWithoutAnswer(session, server, loss) && session.reader.unread(pending)
}

function isWithoutAnswer({ requests }: LosingSession, { relay }: ServerConnection, loss: ServerLoss): boolean {
  const isAsked = loss.promised > 0 || loss.unfinished
  return isAsked && !loss.midMessage && !requests.midMessage && !relay.isDelivered
}

/** The client hears of it, or is closed. */
function tell(session: LosingSession, server: ServerConnection, loss: ServerLoss): void {
  const { settings, requests } = session
  const verdict = describeLoss(loss, {
    welcoming: session.greeting !== null,
    pins: settings.tiesTo(server),
    status: settings.statusOn(server),
    outstanding: loss.promised,
    unfinished: loss.unfinished,
    ending: settings.ending(server.queue),
  })
  if (verdict.kind === 'close') {
    session.close(loss.reason, verdict.fields)
    return
  }
  settings.loseServer(verdict.transactionLost)
  requests.abort(verdict.unfinished)
  const isTold = verdict.answers > 0 || verdict.unfinished
  if (verdict.transactionLost && !isTold) requests.rejectTransaction({ ...verdict.fields, severity: 'ERROR' })
  session.meter.error()
  session.meter.abandoned()
  explainLoss(writer.reset(), verdict)
  session.goOn()
  session.send(writer.bytes)
}
