import type { Link } from '../io/link.ts'
import type { ClientState } from '../memory/client-slots.ts'
import { STATUS } from '../protocol/message-type.ts'
import { type ErrorFields, writeError, writeParameterStatus, writeReady } from '../protocol/messages.ts'
import type { NotificationHead } from '../protocol/notification.ts'
import { MessageWriter } from '../protocol/writer.ts'
import type { Rows } from '../server/captured-rows.ts'
import type { ReplySink, ServerLoss } from '../server/reply-sink.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import type { ClientMeter } from './client-meter.ts'
import type { ClientReader } from './client-reader.ts'
import type { ClientSlot } from './client-slot.ts'
import type { Greeting } from './greeting.ts'
import { describeLoss, explainLoss } from './loss.ts'
import type { PinReview } from './pin-review.ts'
import type { RequestRelay } from './request-relay.ts'
import type { ServerSeat } from './server-seat.ts'
import type { SessionDeadlines } from './session-deadlines.ts'
import type { SessionListening } from './session-listening.ts'
import type { Restored } from './session-settings.ts'
import type { SessionState } from './session-state.ts'

/** The session whose answers come. */
export interface AnsweredSession {
  readonly link: Link
  readonly server: ServerConnection | null
  readonly meter: ClientMeter
  readonly state: ClientState
  /** Null after its first ReadyForQuery; before, answers are to questions of ours. */
  readonly greeting: Greeting | null
  /** The transaction status it believes in while it has no server connection. */
  readonly idleStatus: number
  readonly listening: SessionListening | null
  /** Everything is answered, and no transaction is open. */
  onTransactionEnd(): void
  /** Goes on without the server connection that it lost. */
  goOn(): void
  send(bytes: Uint8Array): void
  close(reason: string, fields: ErrorFields | null): void
}

/** The parts of a session that answers change. */
export interface AnsweredParts {
  readonly memory: ClientSlot
  readonly state: SessionState
  readonly seat: ServerSeat
  readonly reader: ClientReader
  readonly requests: RequestRelay
  readonly deadlines: SessionDeadlines
  readonly review: PinReview
}

const writer = new MessageWriter()

/** What a session does when its server connection answers, or dies. */
export class SessionAnswers implements ReplySink {
  readonly #session: AnsweredSession
  readonly #parts: AnsweredParts

  constructor(session: AnsweredSession, parts: AnsweredParts) {
    this.#session = session
    this.#parts = parts
  }

  get link(): Link {
    return this.#session.link
  }

  onParameter(name: string, value: string): string | null {
    const shown = this.#parts.state.report(name, value, this.#session.server)
    if (name === 'application_name' && shown !== null) this.#parts.memory.text('applicationName', shown)
    return shown
  }

  onDeallocatedAll(): void {
    this.#parts.requests.statements.cleared()
  }

  onPrepared(failure: ErrorFields | null): void {
    const { greeting } = this.#session
    const { state, reader } = this.#parts
    if (greeting !== null) greeting.onPrepared(failure)
    else if (!state.isRestored(failure) && failure !== null) this.#refuse(failure)
    else if (reader.isStalled) reader.resume()
  }

  /** The server connection is not in the session's state, so nothing of what was sent behind has been run. */
  #refuse(failure: ErrorFields): void {
    const session = this.#session
    const { state, seat, requests } = this.#parts
    const { queue } = session.server as ServerConnection
    if (state.pins !== 0) {
      session.close(failure.message, { ...failure, severity: 'FATAL' })
      return
    }
    const { promised, unfinished } = queue
    session.listening?.onServerLost()
    seat.giveUp(requests.midMessage)
    requests.statements.book.abandon()
    requests.abort(unfinished)
    if (promised === 0 && !unfinished) requests.reject(failure)
    state.loseServer(state.transactionLost)
    session.meter.error()
    session.meter.abandoned()
    writer.reset()
    for (let answer = 0; answer < promised; answer++) {
      writeError(writer, failure)
      writeReady(writer, session.idleStatus)
    }
    if (unfinished) writeError(writer, failure)
    session.goOn()
    session.send(writer.bytes)
  }

  onInquired(rows: Rows | null): void {
    const session = this.#session
    if (session.listening?.onInquired(rows) === true) return
    const server = session.server as ServerConnection
    const { state, review } = this.#parts
    this.#tell(state.answer(rows, server), server)
    review.answered()
    // Whatever the client has sent meanwhile has an end of its own.
    const isOver = server.queue.length === 0 && !server.inTransaction && !this.#parts.requests.midMessage
    if (isOver) session.onTransactionEnd()
  }

  onNotification(notification: NotificationHead): boolean {
    return this.#session.listening?.onServerNotification(notification) ?? true
  }

  withholdsReady(status: number): boolean {
    const { listening } = this.#session
    if (listening === null || status !== STATUS.idle || !listening.isConcerned) return false
    return this.#session.server?.queue.length === 0 && !this.#parts.requests.midMessage
  }

  onAnswered(entry: number): void {
    this.#parts.requests.statements.book.answered(entry)
  }

  onSkipped(entry: number): void {
    this.#parts.requests.statements.book.skipped(entry)
  }

  onError(sqlstate: string): void {
    this.#parts.state.fail()
    this.#parts.requests.statements.failed(sqlstate)
    this.#session.meter.error()
  }

  onReady(status: number): void {
    const session = this.#session
    const server = session.server as ServerConnection
    const { queue } = server
    this.#parts.memory.answered(status, queue.outstanding)
    session.meter.answered(server.slot)
    if (this.#parts.reader.peerEnded && queue.outstanding === 0 && queue.unfinished) {
      session.close('client closed the connection', null)
      return
    }
    const isIdle = status === STATUS.idle
    if (queue.length > 0 || this.#parts.requests.midMessage) {
      if (isIdle) session.listening?.onCommit()
      return
    }
    this.#settle(server, isIdle)
    if (isIdle) {
      session.meter.transactionEnds(server.slot)
      if (session.listening?.isConcerned) session.listening.end(server)
      else this.endTransaction()
      return
    }
    session.listening?.onInTransaction()
    this.#parts.deadlines.inTransaction()
    if (this.#parts.reader.peerEnded) session.close('client closed the connection', null)
  }

  /** The client has got the ReadyForQuery of a transaction: something may have to be asked before the server is given back. */
  endTransaction(): void {
    const session = this.#session
    const { server } = session
    if (server !== null) this.#inquire(server)
    if (session.server === server) session.onTransactionEnd()
  }

  #inquire(server: ServerConnection): void {
    const { state, review } = this.#parts
    const inquiry = state.inquiry()
    if (inquiry === '') review.rest()
    else if (!server.relay.questions.inquire(inquiry)) server.lose(server.link.failure, null)
  }

  onProgress(): void {
    const { reader, seat } = this.#parts
    if (reader.isStalled && seat.server?.queue.full === false) reader.resume()
  }

  onServerDrained(): void {
    this.#parts.reader.resume()
  }

  onLost(): void {
    this.#session.close(this.#session.link.failure, null)
  }

  onServerLost(loss: ServerLoss): void {
    const session = this.#session
    const server = this.#parts.seat.lose()
    if (session.state === 'closing') return
    const { state, requests } = this.#parts
    requests.statements.book.abandon()
    if (state.ties === 0 && session.listening?.onServerLost() === true) {
      state.loseServer(false)
      if (session.listening.isOver) return
      session.goOn()
      return
    }
    const verdict = describeLoss(loss, {
      welcoming: session.greeting !== null,
      pins: state.ties,
      status: server.status,
      outstanding: loss.promised,
      unfinished: loss.unfinished,
      ending: state.ending(server.queue),
    })
    if (verdict.kind === 'close') {
      session.close(loss.reason, verdict.fields)
      return
    }
    state.loseServer(verdict.transactionLost)
    requests.abort(verdict.unfinished)
    session.meter.error()
    session.meter.abandoned()
    explainLoss(writer.reset(), verdict)
    session.goOn()
    session.send(writer.bytes)
  }

  /** What statements have done on the server has happened to the session too. */
  #settle(server: ServerConnection, isIdle: boolean): void {
    const { statements } = this.#parts.requests
    statements.settle()
    const restored = this.#parts.state.settle(server, isIdle)
    this.#parts.memory.prepared(statements.book.count)
    this.#tell(restored, server)
  }

  /** Settings of the session that its server connection does not have. */
  #tell(restored: Restored, server: ServerConnection): void {
    const { state, seat } = this.#parts
    if (state.parameters !== null && state.parameters !== server.parameters) seat.renew()
    if (restored.length === 0) return
    writer.reset()
    for (const [name, value] of restored) {
      const shown = server.reportedName(name)
      if (shown !== null && value !== null) writeParameterStatus(writer, shown, value)
    }
    this.#session.send(writer.bytes)
  }
}
