import type { Link } from '../io/link.ts'
import type { OwnedFd } from '../io/owned-fd.ts'
import type { ClientState } from '../memory/client-slots.ts'
import type { NewClient } from '../memory/keeper-protocol.ts'
import { STATUS } from '../protocol/message-type.ts'
import type { ErrorFields } from '../protocol/messages.ts'
import type { Echo } from '../server/client-delivery.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import type { ServerPool } from '../server/server-pool.ts'
import type { PinWatcher } from '../session/session-pins.ts'
import { type ClientHost, FATAL } from './client-host.ts'
import { ClientMeter } from './client-meter.ts'
import { ClientReader, type ReaderSession } from './client-reader.ts'
import { ClientSlot } from './client-slot.ts'
import type { CommitDoubt } from './commit-doubt.ts'
import type { Greeting } from './greeting.ts'
import type { ListeningSession } from './listening-session.ts'
import { PinReview } from './pin-review.ts'
import type { PoolChoice } from './pool-choice.ts'
import { refuseCommit, rejectRequest } from './request-rejection.ts'
import { RequestRelay } from './request-relay.ts'
import type { RequestSession } from './request-session.ts'
import { type RetainedTransaction, replay } from './run-again.ts'
import type { SeatedSession } from './seated-session.ts'
import type { LosingSession } from './server-loss.ts'
import { ServerSeat } from './server-seat.ts'
import { SessionAnswers } from './session-answers.ts'
import { SessionDeadlines } from './session-deadlines.ts'
import { endIfDrained, endSession } from './session-end.ts'
import { SessionListening } from './session-listening.ts'
import type { SessionSpills } from './session-record.ts'
import type { RecordedSession } from './session-records.ts'
import { type MovingSession, SessionRelocation } from './session-relocation.ts'
import { takeSerial } from './session-serial.ts'
import { SessionState } from './session-state.ts'

/**
 * One client, from hand-over to close; the only place where login, requests, pools and replies meet.
 *
 * - login: startup, TLS, authentication, welcome.
 * - idle: no server connection; nothing is asked.
 * - waiting: asks for something, and no server connection is free. What it sent waits in its inbox, unread beyond that.
 * - active: has a server connection; keeps it for a transaction, or, pinned, until the pin's reason is gone.
 * - closing: over. Last words may still be on their way to it.
 */
export class ClientSession
  implements
    SeatedSession,
    RecordedSession,
    ReaderSession,
    RequestSession,
    LosingSession,
    ListeningSession,
    MovingSession,
    PinWatcher
{
  readonly slot: number
  readonly generation: number
  readonly serial: number
  readonly memory: ClientSlot
  readonly meter: ClientMeter
  readonly reader: ClientReader
  readonly seat: ServerSeat
  readonly settings: SessionState
  readonly requests: RequestRelay
  readonly answers: SessionAnswers
  readonly deadlines: SessionDeadlines
  readonly host: ClientHost
  #step: ClientState = 'login'
  /** Null after its first ReadyForQuery. */
  greeting: Greeting | null = null
  /** Null until it counts against the limits. */
  choice: PoolChoice | null = null
  /** Null as long as nothing that pins it can be asked about. */
  review: PinReview | null = null
  /** Null until its server connection was wanted back. */
  relocation: SessionRelocation | null = null
  /** Null until it listens to something. */
  listening: SessionListening | null = null
  user = ''
  database = ''
  spills: SessionSpills | null = null
  doubt: CommitDoubt | null = null
  echo: Echo | null = null

  /** `isKept`: another process has served the client. `serial`: the session's number there; null: it had none, or needs another. */
  constructor(host: ClientHost, client: NewClient, fd: OwnedFd, isKept: boolean, serial: number | null = null) {
    this.host = host
    this.slot = client.slot
    this.generation = client.generation
    this.serial = takeSerial(serial)
    this.memory = new ClientSlot(host.clients, client, host.planeIndex, isKept)
    this.memory.serial(this.serial)
    this.meter = new ClientMeter(host, client.slot, isKept)
    this.settings = new SessionState(host.parameters, this)
    this.requests = new RequestRelay(host, this)
    this.seat = new ServerSeat(host, this)
    this.reader = new ClientReader(host, this, fd)
    this.deadlines = new SessionDeadlines(host, this)
    this.answers = new SessionAnswers(this)
  }

  get link(): Link {
    return this.reader.link
  }

  /** CLIENT_STEP bits of the reader and the seat. */
  get stepFlags(): number {
    return this.reader.stepFlags | this.seat.stepFlags
  }

  save(section: number, isTorn: boolean): void {
    this.host.records.save(this, section, isTorn)
  }

  get server(): ServerConnection | null {
    return this.seat.server
  }

  get state(): ClientState {
    return this.#step
  }

  needListening(): SessionListening {
    this.listening ??= new SessionListening(this.host, this)
    return this.listening
  }

  needReview(): PinReview {
    this.review ??= new PinReview(this.host, this)
    return this.review
  }

  needRelocation(): SessionRelocation {
    this.relocation ??= new SessionRelocation(this.host, this)
    return this.relocation
  }

  rest(): void {
    this.enter('idle')
    this.deadlines.rest()
    if (this.host.draining) endIfDrained(this)
  }

  get pool(): ServerPool | null {
    return this.seat.pool
  }

  get encoding(): string {
    return this.settings.parameters?.values.get('client_encoding') ?? 'UTF8'
  }

  get isBusy(): boolean {
    const { server } = this
    if (this.idleStatus !== STATUS.idle) return true
    if (server === null) return false
    return server.queue.owing || server.inTransaction || this.requests.midMessage
  }

  get idleStatus(): number {
    return this.settings.transaction.idleStatus
  }

  onPins(bits: number): void {
    this.memory.pins(bits)
    this.meter.pinned(bits !== 0)
  }

  acquire(isRead: boolean): boolean {
    // An answer of ours to what it sent before has found nobody.
    if (this.#step === 'closing') return false
    this.meter.requestBegins()
    const { luggage } = this.settings
    if (this.seat.take(isRead && luggage === null)) {
      this.enter('active')
      if (luggage !== null) this.needRelocation().arrive()
      else if (this.doubt === null || !this.seat.mustAwait) return true
      this.reader.holdBack()
      return false
    }
    this.enter('waiting')
    this.reader.holdBack()
    const since = this.meter.waitBegins()
    this.deadlines.waiting()
    this.seat.wait(since)
    return false
  }

  letGo(): void {
    if (this.settings.keepsServer) return
    this.enter('idle')
    this.seat.giveBack()
  }

  onSeated(): void {
    this.deadlines.idle()
    this.enter('active')
    if (this.settings.luggage === null) this.resume()
    else this.needRelocation().arrive()
  }

  rejectRequest(fields: ErrorFields): void {
    rejectRequest(this, fields)
  }

  refuseCommit(fields: ErrorFields): void {
    refuseCommit(this, fields)
  }

  replay(transaction: RetainedTransaction): boolean {
    if (!replay(this, transaction)) return false
    this.doubt = null
    this.resume()
    return true
  }

  noteRequest(): void {
    this.meter.requestBegins()
    this.memory.outstanding(this.server?.queue.outstanding ?? 0)
    this.deadlines.querying()
  }

  /** The client may go on, as soon as nobody uses the buffers that all share. */
  resume(): void {
    this.reader.resume()
  }

  noteStatus(): void {
    this.memory.answered(this.idleStatus, 0)
    this.link.touch()
    if (this.idleStatus !== STATUS.idle) return
    // What had to wait for the end of the transaction.
    this.listening?.flush()
    if (this.host.draining) endIfDrained(this)
  }

  endTransaction(): void {
    if (this.#step !== 'closing') this.answers.endTransaction()
  }

  onTransactionEnd(): void {
    if (this.#step === 'closing') return
    this.deadlines.idle()
    if (!this.settings.keepsServer) {
      this.enter('idle')
      this.seat.giveBack()
    }
    if (this.reader.leaveIfDone()) return
    if (this.host.draining) endIfDrained(this)
    else if (this.reader.isStalled) this.resume()
  }

  goOn(): void {
    this.memory.answered(this.idleStatus, 0)
    this.enter('idle')
    this.deadlines.idle()
    this.listening?.flush()
    this.resume()
  }

  violate(message: string, fields: ErrorFields = FATAL('08P01', message)): void {
    this.host.countPlane('protocolErrors')
    this.close(`protocol violation: ${message}`, fields)
  }

  terminate(): void {
    if (!this.reader.outlives()) this.close('client said goodbye', null)
  }

  send(bytes: Uint8Array): void {
    if (!this.link.closed && !this.link.send(bytes)) this.close(this.link.failure, null)
  }

  /** Ends the session; `fields`, if any, are the last words to the client. Harmless when it is closing already. */
  close(reason: string, fields: ErrorFields | null): void {
    if (this.#step === 'closing') return
    this.enter('closing')
    endSession(this, reason, fields)
  }

  /** Last words are said, or nobody hears them. */
  finish(): void {
    if (this.link.closed) return
    this.deadlines.stop()
    this.link.close()
    this.memory.end()
    this.host.clientGone(this)
  }

  /** The one setter; for this file, and for what begins and goes on with a session. */
  enter(step: ClientState): void {
    if (this.#step === 'closing') throw new Error(`client session: ${step} while closing`)
    this.#step = step
    this.memory.state(step)
    this.link.touch()
  }
}
