import { readMark } from '../continuity/commit-outcome.ts'
import { mayRunAgain } from '../continuity/retry-rules.ts'
import { pinReasons } from '../memory/client-slots.ts'
import { stateOfItsOwn } from '../memory/preservation.ts'
import { STATUS } from '../protocol/message-type.ts'
import { MessageWriter } from '../protocol/writer.ts'
import type { Echo } from '../server/client-delivery.ts'
import type { ServerLoss } from '../server/reply-sink.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import { FATAL } from './client-host.ts'
import { CommitDoubt, type DoubtingSession } from './commit-doubt.ts'
import { endReplay } from './end-replay.ts'
import { describeLoss, explainLoss } from './loss.ts'
import { isLoneCommit } from './lost-requests.ts'
import { hasOnlyRead, lostServer, mayHaveWritten, retain, runAgain } from './run-again.ts'
import type { AnsweredSession } from './session-answers.ts'

const writer = new MessageWriter()

/** The session whose server connection died. */
export interface LosingSession extends AnsweredSession, DoubtingSession {
  readonly user: string
  readonly database: string
  doubt: CommitDoubt | null
  echo: Echo | null
}

/** Its server connection has died: what was asked is asked again or looked up, or its client is told. */
export function dealWithLoss(session: LosingSession, loss: ServerLoss): void {
  const server = session.seat.lose()
  if (session.state === 'closing') return
  session.relocation?.onServerLost()
  const { settings, requests, listening } = session
  if (server.work.attempt?.isOpen === true && settings.tiesTo(server) === 0 && !loss.midMessage && listening === null) {
    askElsewhere(session, server, false)
    return
  }
  requests.statements?.book.abandon()
  if (session.echo !== null) {
    // Nothing of what is to be run again has been sent yet.
    settings.changeServer()
    goOnAgain(session)
    return
  }
  const { echo } = server.relay.delivery
  if (echo !== null) {
    if (echoAgain(session, server, echo)) {
      settings.changeServer()
      goOnAgain(session)
    } else endReplay(session, server, echo, loss.reason)
    return
  }
  if (settings.tiesTo(server) === 0 && listening?.onServerLost() === true) {
    settings.loseServer(false)
    if (!listening.isOver) session.goOn()
    return
  }
  if (session.doubt === null && runAgain(session, server, loss)) {
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
  const request = seat.reads.askElsewhere(server)
  const book = requests.statements?.book ?? null
  book?.abandon()
  if (isForGood) seat.reads.refuse(request, book)
  settings.changeServer()
  requests.abort(false)
  if (session.reader.unread(request)) session.goOn()
  else session.close('out of buffers', FATAL('53200', 'out of memory for buffers of waiting clients'))
}

/** What was being run again was lost once more, before it was clear that it is the same. */
function echoAgain(session: LosingSession, server: ServerConnection, echo: Echo): boolean {
  const { requests, reader } = session
  const { relay } = server
  const { sent } = server.work
  const lost = lostServer(server)
  if (relay.delivery.hasDiverged || requests.midMessage) return false
  if (!mayRunAgain(requests.runs.before(lost), echo.of !== 'read')) return false
  if (sent.length > 0 && (sent.whole === null || !reader.unread(sent.whole))) return false
  requests.runs.count(lost, session.host.now)
  session.seat.reads.avoidReplicas()
  session.echo = echo
  if (sent.length > 0 && server.work.startedWith !== null) session.settings.values.goBackTo(server.work.startedWith)
  return true
}

/** A COMMIT was sent, and its transaction is known well enough to ask what became of it. */
function lookUp(session: LosingSession, server: ServerConnection, loss: ServerLoss): boolean {
  const { settings, requests, host } = session
  const isCommit = settings.transaction.ending(server.queue) === 'commit' && server.status === STATUS.inTransaction
  const isTied = session.greeting !== null || session.listening !== null || !settings.leavesNothing
  if (!isCommit || isTied || !isWithoutAnswer(session, server, loss)) return false
  const mark = readMark(server.work.mark.rows)
  const { pending } = server.work.sent
  if (pending === null || (mark === null && !hasOnlyRead(session, server))) return false
  if (!isLoneCommit(pending, (name) => requests.statements?.book.tailOf(name) ?? null)) return false
  if (!session.reader.unread(pending)) return false
  if (mark === null) host.countPlane('commitsConfirmed')
  session.doubt =
    mark === null
      ? CommitDoubt.ofReads(session)
      : new CommitDoubt(session, mark, host.now - server.createdAt, retain(session, server))
  return true
}

/** The same for a session whose COMMIT is being looked up already. */
function doubtStill(session: LosingSession, doubt: CommitDoubt, server: ServerConnection, loss: ServerLoss): boolean {
  doubt.onServerLost()
  if (loss.promised === 0 && !loss.unfinished) return true
  const { pending } = server.work.sent
  return pending !== null && isWithoutAnswer(session, server, loss) && session.reader.unread(pending)
}

function isWithoutAnswer({ requests }: LosingSession, { relay }: ServerConnection, loss: ServerLoss): boolean {
  const isAsked = loss.promised > 0 || loss.unfinished
  return isAsked && !loss.midMessage && !requests.midMessage && !relay.answers.isDelivered
}

/** The client hears of it, or is closed. */
function tell(session: LosingSession, server: ServerConnection, loss: ServerLoss): void {
  const { settings, requests } = session
  const isOutside = session.greeting === null && settings.transaction.statusOn(server) === STATUS.idle
  const verdict = describeLoss(loss, {
    welcoming: session.greeting !== null,
    pins: settings.tiesTo(server),
    status: settings.transaction.statusOn(server),
    outstanding: loss.promised,
    unfinished: loss.unfinished,
    ending: settings.transaction.ending(server.queue),
    mayHaveWritten: isOutside && (loss.promised > 0 || loss.unfinished) && mayHaveWritten(session, server),
  })
  if (verdict.kind === 'close') {
    const ties = settings.tiesTo(server)
    if (ties !== 0) session.host.clientLost(session.slot, server.target.shard.id, stateOfItsOwn(pinReasons(ties)))
    session.close(loss.reason, verdict.fields)
    return
  }
  settings.loseServer(verdict.transactionLost)
  requests.runs.reset()
  requests.abort(verdict.unfinished)
  const isTold = verdict.answers > 0 || verdict.unfinished
  if (verdict.transactionLost && !isTold) requests.rejectTransaction({ ...verdict.fields, severity: 'ERROR' })
  session.meter.error()
  session.meter.abandoned()
  explainLoss(writer.reset(), verdict)
  session.goOn()
  session.send(writer.bytes)
}
