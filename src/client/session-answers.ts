import { TIER_SETTING } from '../analyzer/tier-hint.ts'
import type { Link } from '../io/link.ts'
import type { ClientState } from '../memory/client-slots.ts'
import { STATUS } from '../protocol/message-type.ts'
import type { ErrorFields } from '../protocol/messages.ts'
import type { NotificationHead } from '../protocol/notification.ts'
import type { Rows } from '../server/captured-rows.ts'
import type { Cleared } from '../server/reply-messages.ts'
import type { ReplySink, ServerLoss, SessionTie } from '../server/reply-sink.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import type { ParameterSet } from '../session/parameters.ts'
import type { ClientHost } from './client-host.ts'
import type { ClientMeter } from './client-meter.ts'
import type { ClientReader } from './client-reader.ts'
import type { ClientSlot } from './client-slot.ts'
import type { Greeting } from './greeting.ts'
import type { PinReview } from './pin-review.ts'
import { refuseUnprepared } from './request-rejection.ts'
import type { RequestRelay } from './request-relay.ts'
import { askElsewhere, dealWithLoss, type LosingSession } from './server-loss.ts'
import type { ServerSeat } from './server-seat.ts'
import type { SessionDeadlines } from './session-deadlines.ts'
import type { SessionListening } from './session-listening.ts'
import type { SessionRelocation } from './session-relocation.ts'
import type { Restored } from './session-settings.ts'
import type { SessionState } from './session-state.ts'
import { statusesOf } from './setting-statuses.ts'

/** The session whose answers come, with the parts of it that they change. */
export interface AnsweredSession {
  readonly slot: number
  readonly host: ClientHost
  readonly link: Link
  readonly server: ServerConnection | null
  readonly state: ClientState
  readonly memory: ClientSlot
  readonly meter: ClientMeter
  readonly settings: SessionState
  readonly seat: ServerSeat
  readonly reader: ClientReader
  readonly requests: RequestRelay
  readonly deadlines: SessionDeadlines
  /** Null: it has never had to be reviewed. */
  readonly review: PinReview | null
  /** Null after its first ReadyForQuery; before, answers are to questions of ours. */
  readonly greeting: Greeting | null
  /** The transaction status it believes in while it has no server connection. */
  readonly idleStatus: number
  readonly listening: SessionListening | null
  /** Null: its server connection was never wanted back. */
  readonly relocation: SessionRelocation | null
  needRelocation(): SessionRelocation
  /** Its review, made when it is needed. */
  needReview(): PinReview
  /** Everything is answered, and no transaction is open. */
  onTransactionEnd(): void
  /** Goes on without the server connection that it lost. */
  goOn(): void
  send(bytes: Uint8Array): void
  close(reason: string, fields: ErrorFields | null): void
  /** The client has broken the protocol: it is closed with these last words. */
  violate(message: string, fields: ErrorFields): void
}

const CANCELLED = '57014'
/** SQLSTATEs of what no replica does, today or tomorrow: it writes, needs a higher isolation, or an unlogged table. */
const NEVER_ON_REPLICAS = new Set(['25006', '0A000', '55000'])

/** What a session does when its server connection answers, or dies. */
export class SessionAnswers implements ReplySink {
  readonly #session: LosingSession
  /** In which the hint has been looked for. */
  #noted: ParameterSet | null = null

  constructor(session: LosingSession) {
    this.#session = session
  }

  get link(): Link {
    return this.#session.link
  }

  get tie(): SessionTie {
    const { state, settings } = this.#session
    if (state === 'closing') return 'none'
    if (settings.luggage !== null) return 'travelling'
    return settings.pins === 0 ? 'none' : 'tied'
  }

  onParameter(name: string, value: string): string | null {
    const shown = this.#session.settings.values.report(name, value, this.#session.server)
    if (name === 'application_name' && shown !== null) {
      const { memory, host, slot } = this.#session
      memory.text('applicationName', shown)
      host.analyzer.renamed(slot, host.now)
    }
    return shown
  }

  onCommand(bytes: Buffer, at: number, stop: number, isExtended: boolean): void {
    this.#session.host.analyzer.profiles.command(this.#session.slot, bytes, at, stop, isExtended)
  }

  onCleared(what: Cleared): void {
    const { requests, server, settings } = this.#session
    if (what !== 'statements') settings.discarded()
    if (what === 'sequences') return
    server?.statements.clear()
    server?.strays?.clear()
    requests.statements?.cleared()
  }

  onPrepared(failure: ErrorFields | null): void {
    const { greeting, settings, reader } = this.#session
    if (greeting !== null) greeting.onPrepared(failure)
    else if (failure !== null && this.#session.relocation?.failed(failure) === true) return
    else if (!settings.isRestored(failure) && failure !== null) refuseUnprepared(this.#session, failure)
    else if (reader.isStalled) reader.resume()
  }

  onInquired(rows: Rows | null): void {
    const session = this.#session
    if (session.doubt?.onInquired(rows) === true || session.listening?.onInquired(rows) === true) return
    const server = session.server as ServerConnection
    const { settings, relocation } = session
    const before = settings.parameters
    this.#tell(settings.answer(rows, server), server)
    if (relocation?.answered(before) === true) return
    if (settings.pins !== 0) session.needReview().answered()
    else session.review?.answered()
    // Whatever the client has sent meanwhile has an end of its own.
    const isOver = server.queue.length === 0 && !server.inTransaction && !this.#session.requests.midMessage
    if (isOver) session.onTransactionEnd()
    else if (session.reader.isStalled) session.reader.resume()
  }

  onNotification(notification: NotificationHead): boolean {
    return this.#session.listening?.onServerNotification(notification) ?? true
  }

  /** RESET to a value of the startup packet is not reported where the server has been at its own default. */
  beforeReady(status: number): Uint8Array | null {
    const { settings, server, requests } = this.#session
    if (!settings.values.mayHaveFallen || server === null || status !== STATUS.idle) return null
    if (server.queue.length > 0 || requests.midMessage) return null
    const restored = settings.settle(server, true)
    return restored.length === 0 ? null : statusesOf(restored, server)
  }

  withholdsReady(status: number): boolean {
    const { listening } = this.#session
    if (listening === null || status !== STATUS.idle || !listening.isConcerned) return false
    return this.#session.server?.queue.length === 0 && !this.#session.requests.midMessage
  }

  onAnswered(entry: number): void {
    this.#session.requests.statements?.book.answered(entry)
  }

  onSkipped(entry: number): void {
    this.#session.requests.statements?.book.skipped(entry)
  }

  onError(sqlstate: string): void {
    const { seat } = this.#session
    if (seat.reads.isInReplicaTransaction && NEVER_ON_REPLICAS.has(sqlstate)) seat.reads.stayOnPrimary()
    this.#session.settings.fail()
    this.#session.requests.statements?.failed(sqlstate)
    this.#session.meter.error()
    this.#session.host.analyzer.profiles.error(this.#session.slot)
  }

  onViolation(fields: ErrorFields): void {
    this.#session.violate(fields.message, fields)
  }

  onAttemptFailed(sqlstate: string): boolean {
    const session = this.#session
    const { server, seat, settings } = session
    // That was somebody's wish.
    if (server === null || sqlstate === CANCELLED || !seat.reads.isOnReplica || settings.pins !== 0) return false
    askElsewhere(session, server, NEVER_ON_REPLICAS.has(sqlstate))
    return true
  }

  onReady(status: number): void {
    const session = this.#session
    const server = session.server as ServerConnection
    const { queue } = server
    this.#session.memory.answered(status, queue.outstanding)
    const took = session.meter.answered(server.slot)
    session.host.analyzer.answered(session.slot, status, took, session.host.now)
    if (took >= 0 && server.tier >= 0) server.admission.answered(server.tier, took)
    if (this.#session.reader.isAtEnd && queue.outstanding === 0 && queue.unfinished) {
      session.close('client closed the connection', null)
      return
    }
    const isIdle = status === STATUS.idle
    if (queue.length > 0 || this.#session.requests.midMessage) {
      if (!isIdle) return
      session.listening?.onCommit()
      this.#transactionEnds()
      return
    }
    this.#settle(server, isIdle)
    if (isIdle) {
      session.meter.transactionEnds(server.slot)
      this.#session.requests.runs.reset()
      session.doubt = null
      this.#transactionEnds()
      if (session.listening?.isConcerned) session.listening.end(server)
      else this.endTransaction()
      return
    }
    session.listening?.onInTransaction()
    this.#session.deadlines.inTransaction()
    if (this.#session.reader.isAtEnd) session.close('client closed the connection', null)
  }

  #transactionEnds(): void {
    const { seat, settings } = this.#session
    seat.reads.transactionEnds()
    if (settings.transaction.deferredBegin !== null) settings.transaction.deferredBegin = null
  }

  /** The client has got the ReadyForQuery of a transaction: something may have to be asked before the server is given back. */
  endTransaction(): void {
    const session = this.#session
    const { server } = session
    if (server !== null) this.#inquire(server)
    if (session.server === server) session.onTransactionEnd()
  }

  #inquire(server: ServerConnection): void {
    const { settings } = this.#session
    const inquiry = settings.inquiry()
    if (inquiry === '') {
      if (settings.isReviewable) this.#session.needReview().rest()
    } else if (!server.relay.questions.inquire(inquiry)) server.lose(server.link.failure, null)
  }

  leave(): boolean {
    return this.#session.needRelocation().leave()
  }

  onProgress(): void {
    const { reader, seat } = this.#session
    if (reader.isStalled && seat.server?.queue.full === false) reader.resume()
  }

  onServerDrained(): void {
    this.#session.reader.resume()
  }

  onLost(): void {
    this.#session.close(this.#session.link.failure, null)
  }

  onServerLost(loss: ServerLoss): void {
    dealWithLoss(this.#session, loss)
  }

  /** What statements have done on the server has happened to the session too. */
  #settle(server: ServerConnection, isIdle: boolean): void {
    const { memory, settings } = this.#session
    const { statements } = this.#session.requests
    statements?.settle()
    const restored = settings.settle(server, isIdle)
    if (statements !== null) memory.prepared(statements.book.count)
    this.#noteSettings()
    this.#tell(restored, server)
  }

  /** What the session's settings say of it and of its tier, when they have changed. */
  #noteSettings(): void {
    const { host, slot, settings } = this.#session
    const { parameters } = settings
    if (parameters === this.#noted || parameters === null) return
    const value = parameters.values.get(TIER_SETTING)
    const before = this.#noted?.values.get(TIER_SETTING)
    this.#noted = parameters
    host.analyzer.settingsChanged(slot, parameters.values)
    if (value !== before) host.analyzer.hinted(slot, value, host.now)
  }

  /** Settings of the session that its server connection does not have. */
  #tell(restored: Restored, server: ServerConnection): void {
    const { settings, seat } = this.#session
    if (settings.parameters !== null && settings.parameters !== server.parameters) seat.renew()
    if (restored.length > 0) this.#session.send(statusesOf(restored, server))
  }
}
