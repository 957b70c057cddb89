import { RunCount } from '../continuity/retry-rules.ts'
import type { NativeBuffer } from '../io/native.ts'
import { CLIENT_STEP, PIN } from '../memory/client-slots.ts'
import { FRONTEND, HEADER_BYTES, lengthAt, MAX_MESSAGE_BYTES } from '../protocol/message-type.ts'
import { type ErrorFields, FLUSH } from '../protocol/messages.ts'
import type { ServerTarget } from '../server/server-target.ts'
import { PassingText, UNSEEN } from '../sql/passing-text.ts'
import type { Effects } from '../sql/statement-effects.ts'
import type { StatementFacts } from '../sql/statement-facts.ts'
import type { ClientHost } from './client-host.ts'
import { breaksCopy, copyRequest, strayRequest } from './copy-requests.ts'
import {
  bindRequest,
  executeRequest,
  flushRequest,
  namedRequest,
  parseRequest,
  syncRequest,
} from './extended-requests.ts'
import { goesWithRead } from './read-passage.ts'
import { Refusals, type RefusalsSnapshot } from './refusals.ts'
import { leaveReplica } from './replica-transaction.ts'
import type { RequestPassage } from './request-passage.ts'
import type { RequestSession } from './request-session.ts'
import { noteSentEffects } from './session-effects.ts'
import { functionCallRequest, queryRequest } from './simple-requests.ts'
import type { StatementBook } from './statement-book.ts'
import { StatementRelay } from './statement-relay.ts'

/**
 * The way there: walks the headers of what a client sends, decides by them, and passes runs of messages on to the
 * session's server connection. One per client; holds only what must survive from one read to the next.
 */
export class RequestRelay implements RequestPassage {
  readonly host: ClientHost
  readonly session: RequestSession
  /** Null: the client has prepared nothing. */
  #statements: StatementRelay | null = null
  /** Bytes of a message body still to come, and whether they, or the message at hand, go to the server. */
  #body = 0
  bodyGoesOn = false
  /** The text in that body; null when it was there as a whole, or is none. */
  #passing: PassingText | null = null
  /** Null: nothing has been refused. */
  #refusals: Refusals | null = null

  constructor(host: ClientHost, session: RequestSession) {
    this.host = host
    this.session = session
  }

  /** The client's prepared statements; null: it has never had any. */
  get statements(): StatementRelay | null {
    return this.#statements
  }

  /** The same, made when they are needed. */
  needStatements(): StatementRelay {
    this.#statements ??= new StatementRelay(this.host, this.session)
    return this.#statements
  }

  get book(): StatementBook | null {
    return this.#statements?.book ?? null
  }

  get target(): ServerTarget | null {
    return this.session.seat.pool?.target ?? null
  }

  get isReadOnly(): boolean {
    return this.session.settings.transaction.deferredBegin !== null
  }

  /** How often what it is at has been run again, because server connections died. */
  readonly runs = new RunCount()

  /** A message has been sent in part: its server connection can serve nobody else. */
  get midMessage(): boolean {
    return this.#body > 0 && this.bodyGoesOn
  }

  /** Bytes of a message body still to come. */
  get bodyRemaining(): number {
    return this.#body
  }

  /** CLIENT_STEP bits of where it is. */
  get stepFlags(): number {
    return (
      (this.bodyGoesOn ? CLIENT_STEP.bodyGoesOn : 0) |
      (this.#passing !== null ? CLIENT_STEP.passing : 0) |
      (this.#statements?.stepFlags ?? 0)
    )
  }

  /** Null: nothing is refused. */
  get refused(): RefusalsSnapshot | null {
    return this.#refusals?.snapshot ?? null
  }

  /** As it was in another process. */
  restore(body: number, flags: number, refused: RefusalsSnapshot | null): void {
    this.#body = body
    this.bodyGoesOn = (flags & CLIENT_STEP.bodyGoesOn) !== 0
    if (refused !== null) this.#needRefusals().restore(refused)
    // What its first part said is not known here.
    if ((flags & CLIENT_STEP.passing) !== 0) this.session.settings.pin(PIN.undecidedStatement)
    this.#statements?.restore(flags)
  }

  /** The next request gets this error; the client stays. */
  reject(fields: ErrorFields): void {
    this.#needRefusals().reject(fields)
  }

  /** The next request gets this error, unless it is a ROLLBACK: the transaction that it belongs to is lost. */
  rejectTransaction(fields: ErrorFields): void {
    this.#needRefusals().rejectTransaction(fields)
  }

  /** The server is gone: what is left of a message goes nowhere. `toSync`: so does the rest of an extended query. */
  abort(toSync: boolean): void {
    this.bodyGoesOn = false
    this.abandonText()
    if (toSync || this.#refusals !== null) this.#needRefusals().ignoreToSync(toSync)
  }

  #needRefusals(): Refusals {
    this.#refusals ??= new Refusals(this.session)
    return this.#refusals
  }

  /** Returns where the first unused byte is: a part of a message, or requests that have to wait. */
  consume(source: NativeBuffer, start: number, end: number): number {
    const { toServer } = this.host
    const session = this.session
    if (session.seat.reads.isReading && this.#body === 0 && !goesWithRead(this, source, start, end)) return start
    const isRefusing = this.#refusals?.any === true
    const isFirst = session.server === null || !session.server.isAsked
    if (session.server) toServer.begin(session.server.link)
    let at = start
    let sentFrom = start
    while (at < end) {
      if (this.#body > 0) {
        const stop = Math.min(end, at + this.#body)
        if (this.bodyGoesOn) toServer.forward(source, at, stop)
        this.#body -= stop - at
        if (this.#passing !== null) this.#pass(this.#passing, source, at, stop)
        at = stop
        continue
      }
      if (end - at < HEADER_BYTES) break
      const length = lengthAt(source.bytes, at + 1)
      if (length < 4 || length > MAX_MESSAGE_BYTES) {
        session.violate('invalid message length')
        return end
      }
      const stop = this.#message(source, at, at + 1 + length, end)
      if (stop < 0) break
      if (stop > end) this.#body = stop - end
      at = Math.min(stop, end)
      // What was answered without a server was sent to none.
      if (session.server === null) sentFrom = at
    }
    const { server } = session
    if (server !== null) {
      server.noteSent(source, sentFrom, at, isFirst)
      // What was answered here may not be sent the next time either.
      if (isRefusing) server.work.sent.forget()
    }
    if (server && !toServer.flush()) server.lose(server.link.failure, null)
    return at
  }

  /** Some more of a text has been sent, before the server can have answered it. */
  #pass(passing: PassingText, source: NativeBuffer, at: number, stop: number): void {
    const isLast = this.#body === 0
    this.#statements?.passLong(source, at, stop)
    passing.pass(source.bytes, at, isLast ? stop - 1 : stop, isLast)
    if (!isLast) return
    this.#passing = null
    if (!this.bodyGoesOn || this.#statements?.finishLong(passing.facts) === true) return
    noteSentEffects(this.session, passing.facts)
  }

  /** Facts of the text `source[start, stop - 1)`, as far as it is there. */
  look(source: NativeBuffer, start: number, stop: number, end: number): StatementFacts {
    if (stop <= end) {
      this.#passing = null
      this.host.facts.read(source.bytes, start, stop - 1)
      return this.host.facts
    }
    this.#passing = new PassingText()
    this.#passing.pass(source.bytes, start, end, false)
    return this.#passing.facts
  }

  /** What may be assumed of it, before it has been seen whole: what is still to come may be anything. */
  effectsOf(facts: StatementFacts): Effects {
    return this.#passing === null ? facts : UNSEEN
  }

  /** One message whose header is at `at`. Returns its end, which may be past `end`; −1: keep it for later. */
  #message(source: NativeBuffer, at: number, stop: number, end: number): number {
    const type = source.bytes[at] as number
    this.bodyGoesOn = false
    if (this.#refusals?.any && type !== FRONTEND.terminate) {
      if (this.#refusals.answer(source.bytes, at, Math.min(stop, end))) return stop
    }
    const { server } = this.session
    if (server?.queue.full) return this.wait()
    if (server?.relay.answers.ignoresSync && breaksCopy(type)) return strayRequest(this, source, at, stop, end)
    if (this.session.seat.mustAwait || this.session.listening?.mayGoOn === false) return this.hold()
    switch (type) {
      case FRONTEND.query:
        return queryRequest(this, source, at, stop, end)
      case FRONTEND.parse:
        return parseRequest(this, source, at, stop, end)
      case FRONTEND.bind:
        return bindRequest(this, source, at, stop, end)
      case FRONTEND.describe:
      case FRONTEND.close:
        return namedRequest(this, source, at, stop, end)
      case FRONTEND.execute:
        return executeRequest(this, source, at, stop, end)
      case FRONTEND.sync:
        return syncRequest(this, source, at, stop, end)
      case FRONTEND.flush:
        return flushRequest(this, source, at, stop, end)
      case FRONTEND.copyDone:
      case FRONTEND.copyFail:
      case FRONTEND.copyData:
        return copyRequest(this, source, at, stop, end)
      case FRONTEND.functionCall:
        return functionCallRequest(this, source, at, stop, end)
      case FRONTEND.terminate:
        this.session.terminate()
        return end
      default:
        this.session.violate(`invalid frontend message type ${type}`)
        return stop
    }
  }

  get isPassing(): boolean {
    return this.#passing !== null
  }

  forgetText(): void {
    this.#passing = null
  }

  abandonText(stop = 0): number {
    this.#passing = null
    this.#statements?.abandonLong()
    return stop
  }

  /** The transaction ends with the message at `at`, once everything before it is answered. */
  leaveReplica(source: NativeBuffer, at: number, stop: number, end: number): number {
    this.abandonText()
    if ((this.session.server?.queue.length ?? 0) > 0) return this.wait()
    this.host.toServer.flush()
    leaveReplica(this.session)
    this.#needRefusals().answer(source.bytes, at, Math.min(stop, end))
    return stop
  }

  /** After an error in an extended query the server ignores everything up to the Sync. */
  skipped(): boolean {
    return this.session.server?.queue.skipping ?? true
  }

  push(kind: number): void {
    this.session.server?.queue.push(kind)
  }

  forward(source: NativeBuffer, at: number, stop: number, end: number): number {
    this.bodyGoesOn = true
    this.host.toServer.forward(source, at, Math.min(stop, end))
    return stop
  }

  /** What follows has to wait until the server has answered what was sent. */
  hold(): number {
    this.session.reader.holdBack()
    return -1
  }

  /** So many answers are owed that the server must be made to give some. */
  wait(): number {
    this.host.toServer.insert(FLUSH)
    this.session.reader.holdBack()
    return -1
  }
}
