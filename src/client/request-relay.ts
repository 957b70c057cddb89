import { READ_HEADROOM } from '../io/link.ts'
import type { NativeBuffer } from '../io/native.ts'
import { CLIENT_STEP, PIN } from '../memory/client-slots.ts'
import { FRONTEND, HEADER_BYTES, lengthAt, MAX_MESSAGE_BYTES, STATUS, textEnd } from '../protocol/message-type.ts'
import { type ErrorFields, FLUSH, writeQuery, writeReady } from '../protocol/messages.ts'
import { MessageWriter } from '../protocol/writer.ts'
import { REPLY } from '../server/reply-queue.ts'
import type { ServerTarget } from '../server/server-target.ts'
import { PassingText, UNSEEN } from '../sql/passing-text.ts'
import { type Effects, FACT } from '../sql/statement-effects.ts'
import type { StatementFacts } from '../sql/statement-facts.ts'
import type { ClientHost } from './client-host.ts'
import { answersHere } from './deferred-begin.ts'
import type { Asker } from './read-routing.ts'
import { Refusals, type RefusalsSnapshot } from './refusals.ts'
import { mayRunOnReplica } from './replica-transaction.ts'
import type { RequestSession } from './request-session.ts'
import { routerAnswer } from './router-answers.ts'
import { concernsListening } from './session-listening.ts'
import type { StatementBook } from './statement-book.ts'
import { StatementRelay } from './statement-relay.ts'
import { noteComment } from './tier-questions.ts'

const writer = new MessageWriter()
/** A message that must be seen whole may be this long; longer ones stream through, and are looked at meanwhile. */
const SEEN_BYTES = READ_HEADROOM - HEADER_BYTES
const NO_EFFECTS: Effects = { pins: 0, flags: 0, settings: [], values: [], channels: [], calls: null }
/** So much of those has to be there before anything is decided: names are at the beginning. */
const HEAD_BYTES = 16_384

/**
 * The way there: walks the headers of what a client sends, decides by them, and passes runs of messages on to the
 * session's server connection. One per client; holds only what must survive from one read to the next.
 */
export class RequestRelay implements Asker {
  readonly #host: ClientHost
  readonly #session: RequestSession
  /** Null: the client has prepared nothing. */
  #statements: StatementRelay | null = null
  /** Bytes of a message body still to come, and whether they go to the server. */
  #body = 0
  #bodyGoesOn = false
  /** The text in that body; null when it was there as a whole, or is none. */
  #passing: PassingText | null = null
  /** Null: nothing has been refused. */
  #refusals: Refusals | null = null

  constructor(host: ClientHost, session: RequestSession) {
    this.#host = host
    this.#session = session
  }

  /** The client's prepared statements; null: it has never had any. */
  get statements(): StatementRelay | null {
    return this.#statements
  }

  /** The same, made when they are needed. */
  needStatements(): StatementRelay {
    this.#statements ??= new StatementRelay(this.#host, this.#session)
    return this.#statements
  }

  get book(): StatementBook | null {
    return this.#statements?.book ?? null
  }

  get target(): ServerTarget | null {
    return this.#session.seat.pool?.target ?? null
  }

  get isReadOnly(): boolean {
    return this.#session.settings.deferredBegin !== null
  }

  /** How often what it is at has been run again, because server connections died. */
  runs = 0

  /** A message has been sent in part: its server connection can serve nobody else. */
  get midMessage(): boolean {
    return this.#body > 0 && this.#bodyGoesOn
  }

  /** Bytes of a message body still to come. */
  get bodyRemaining(): number {
    return this.#body
  }

  /** CLIENT_STEP bits of where it is. */
  get stepFlags(): number {
    return (
      (this.#bodyGoesOn ? CLIENT_STEP.bodyGoesOn : 0) |
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
    this.#bodyGoesOn = (flags & CLIENT_STEP.bodyGoesOn) !== 0
    if (refused !== null) this.#needRefusals().restore(refused)
    // What its first part said is not known here.
    if ((flags & CLIENT_STEP.passing) !== 0) this.#session.settings.pin(PIN.undecidedStatement)
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
    this.#bodyGoesOn = false
    this.#abandonText()
    if (toSync || this.#refusals !== null) this.#needRefusals().ignoreToSync(toSync)
  }

  #needRefusals(): Refusals {
    this.#refusals ??= new Refusals(this.#session)
    return this.#refusals
  }

  /** Returns where the first unused byte is: a part of a message, or requests that have to wait. */
  consume(source: NativeBuffer, start: number, end: number): number {
    const { toServer } = this.#host
    const session = this.#session
    if (session.seat.isReading && this.#body === 0 && !this.#goesWithRead(source, start, end)) return start
    const isRefusing = this.#refusals?.any === true
    const isFirst = session.server === null || !session.server.isAsked
    if (session.server) toServer.begin(session.server.link)
    let at = start
    while (at < end) {
      if (this.#body > 0) {
        const stop = Math.min(end, at + this.#body)
        if (this.#bodyGoesOn) toServer.forward(source, at, stop)
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
    }
    const { server } = session
    if (server !== null) {
      server.noteSent(source, start, at, isFirst)
      // What was answered here may not be sent the next time either.
      if (isRefusing) server.sent.forget()
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
    if (!this.#bodyGoesOn || this.#statements?.finishLong(passing.facts) === true) return
    this.#session.noteSent(passing.facts)
  }

  /** Facts of the text `source[start, stop - 1)`, as far as it is there. */
  #look(source: NativeBuffer, start: number, stop: number, end: number): StatementFacts {
    if (stop <= end) {
      this.#passing = null
      this.#host.facts.read(source.bytes, start, stop - 1)
      return this.#host.facts
    }
    this.#passing = new PassingText()
    this.#passing.pass(source.bytes, start, end, false)
    return this.#passing.facts
  }

  /** What may be assumed of it, before it has been seen whole: what is still to come may be anything. */
  #effects(facts: StatementFacts): Effects {
    return this.#passing === null ? facts : UNSEEN
  }

  /** One message whose header is at `at`. Returns its end, which may be past `end`; −1: keep it for later. */
  #message(source: NativeBuffer, at: number, stop: number, end: number): number {
    const type = source.bytes[at] as number
    this.#bodyGoesOn = false
    if (this.#refusals?.any && type !== FRONTEND.terminate) {
      if (this.#refusals.answer(source.bytes, at, Math.min(stop, end))) return stop
    }
    if (this.#session.server?.queue.full) return this.#wait()
    if (this.#session.seat.mustAwait || this.#session.listening?.mayGoOn === false) return this.#hold()
    switch (type) {
      case FRONTEND.query:
        return this.#query(source, at, stop, end)
      case FRONTEND.parse:
        return this.#parse(source, at, stop, end)
      case FRONTEND.bind:
        return this.#bind(source, at, stop, end)
      case FRONTEND.describe:
      case FRONTEND.close:
        return this.#named(type, source, at, stop, end)
      case FRONTEND.execute:
        return this.#execute(source, at, stop, end)
      case FRONTEND.sync:
        return this.#sync(source, at, stop, end)
      case FRONTEND.flush:
        return this.#flush(source, at, stop, end)
      case FRONTEND.copyDone:
      case FRONTEND.copyFail:
        this.#session.server?.relay.endCopyIn()
        return this.#session.server ? this.#forward(source, at, stop, end) : stop
      case FRONTEND.copyData:
        // Without a server these are the rest of a COPY that has failed; PostgreSQL ignores them too.
        return this.#session.server ? this.#forward(source, at, stop, end) : stop
      case FRONTEND.functionCall:
        return this.#functionCall(source, at, stop, end)
      case FRONTEND.terminate:
        this.#session.terminate()
        return end
      default:
        this.#session.violate(`invalid frontend message type ${type}`)
        return stop
    }
  }

  #query(source: NativeBuffer, at: number, stop: number, end: number): number {
    if (isTooShort(at, stop, end)) return -1
    const { slot, server } = this.#session
    const sqlEnd = Math.min(stop - 1, end)
    if (server === null && answersHere(this.#session, source.bytes, at + HEADER_BYTES, sqlEnd)) return stop
    if (server === null) noteComment(this.#host, slot, source, at + HEADER_BYTES, sqlEnd)
    // Nobody holds a server connection while the rest of a message is on its way, and nothing is looked at in vain.
    if (!this.#attached(source, at, end)) return -1
    const facts = this.#look(source, at + HEADER_BYTES, stop, end)
    const effects = this.#effects(facts)
    if (this.#session.seat.isInReplicaTransaction) {
      const text = stop <= end ? source.bytes.subarray(at + HEADER_BYTES, sqlEnd) : null
      if (!this.#staysOnReplica(effects, text)) return this.#leaveReplica(source, at, stop, end)
    }
    if (concernsListening(effects) && !this.#session.admitListening(effects)) return this.#hold()
    this.#session.seat.prepare(effects)
    if (this.#skipped()) return this.#abandonText(stop)
    const isUnseen = this.#passing !== null
    if (this.#session.settings.mustWait(isUnseen ? null : facts, this.#session.server)) return this.#hold()
    if ((facts.flags & FACT.executes) !== 0) this.#noteExecuted(source, facts)
    this.#session.seat.foresee(effects)
    this.#session.note(effects)
    const renamed = this.#noteQuery(source, at, stop, end, facts)
    this.#push(REPLY.query)
    this.#session.noteRequest()
    this.#bodyGoesOn = true
    if (renamed) return stop
    const question = routerAnswer(this.#host, slot, source.bytes, at + HEADER_BYTES, sqlEnd)
    if (question === null) return this.#forward(source, at, stop, end)
    writeQuery(writer.reset(), question)
    this.#host.toServer.insert(writer.bytes)
    return stop
  }

  /** Of what it does with prepared statements. True when it has been sent, with another name in it. */
  #noteQuery(source: NativeBuffer, at: number, stop: number, end: number, facts: StatementFacts): boolean {
    const isPassing = this.#passing !== null
    if (this.#statements === null && !isPassing && !concernsStatements(facts)) {
      const { server } = this.#session
      if (server) server.unnamedOwner = 0
      return false
    }
    const statements = this.needStatements()
    statements.noteQuery(facts, isPassing)
    return statements.rename(source, at, stop, end, facts)
  }

  #abandonText(stop = 0): number {
    this.#passing = null
    this.#statements?.abandonLong()
    return stop
  }

  /** EXECUTE does what the statement does that it names. */
  #noteExecuted(source: NativeBuffer, facts: StatementFacts): void {
    const effects = this.#statements?.effectsOfExecute(source, facts) ?? null
    if (effects === null) return
    this.#session.seat.foresee(effects)
    this.#session.note(effects)
  }

  /** A READ ONLY transaction may go on with this where it is. */
  #staysOnReplica(effects: Effects, text: Buffer | null): boolean {
    const { server } = this.#session
    const { catalogues, now } = this.#host
    return server === null || mayRunOnReplica(effects, text, server, catalogues, now)
  }

  /** The transaction ends with the message at `at`, once everything before it is answered. */
  #leaveReplica(source: NativeBuffer, at: number, stop: number, end: number): number {
    this.#abandonText()
    if ((this.#session.server?.queue.length ?? 0) > 0) return this.#wait()
    this.#host.toServer.flush()
    this.#session.leaveReplica()
    this.#needRefusals().answer(source.bytes, at, Math.min(stop, end))
    return stop
  }

  /**
   * The session has, or had, its server connection for a read: what is there now may be that read, or more. False: it has to
   * wait, because nothing but reads may be sent to a replica.
   */
  #goesWithRead(source: NativeBuffer, start: number, end: number): boolean {
    const session = this.#session
    const { seat, server } = session
    if (server === null) return true
    if (seat.isInReplicaTransaction && !seat.isFresh) return true
    const isOwed = seat.isOwed
    if (!isOwed && this.#isRead(source, start, end)) {
      seat.attempt(source.bytes, start, end)
      return true
    }
    if (!seat.isOnReplica) {
      seat.noteMore()
      return true
    }
    if (isOwed || server.queue.length > 0) {
      session.holdBack()
      return false
    }
    session.letGo()
    return true
  }

  #isRead(source: NativeBuffer, at: number, end: number): boolean {
    const { seat, settings } = this.#session
    const { readRouting } = this.#host
    if (!seat.mayRead || !readRouting.isRead(source, at, end, this)) return false
    if (settings.deferredBegin !== null && readRouting.isQuery) settings.deferredBegin.hasSnapshot = true
    return true
  }

  #attached(source: NativeBuffer, at: number, end: number): boolean {
    const session = this.#session
    if (session.server !== null) return true
    const isRead = session.seat.routesReads && this.#isRead(source, at, end)
    if (!session.acquire(isRead)) return false
    if (isRead) session.seat.attempt(source.bytes, at, end)
    return true
  }

  /** What a statement does counts when it is executed. */
  #parse(source: NativeBuffer, at: number, stop: number, end: number): number {
    if (isTooShort(at, stop, end)) return -1
    const { bytes } = source
    const nameEnd = textEnd(bytes, at + HEADER_BYTES, Math.min(stop, end))
    if (nameEnd < 0) {
      this.#session.violate('malformed Parse message')
      return end
    }
    if (this.#session.server === null) this.#noteCommentOfParse(source, nameEnd + 1, Math.min(stop, end))
    if (!this.#attached(source, at, end)) return -1
    const statements = this.needStatements()
    if (statements.mustWait || statements.isUncertain(source, at, nameEnd)) return this.#wait()
    if (stop <= end && statements.isAgain(bytes, at, nameEnd, stop)) return this.#parseAgain(source, at, stop)
    const facts = this.#look(source, nameEnd + 1, stop, end)
    const effects = this.#effects(facts)
    this.#session.seat.prepare(effects)
    if (this.#skipped()) return this.#abandonText(stop)
    this.#session.seat.foresee(effects)
    const { slot } = this.#session
    const sqlEnd = stop > end ? -1 : bytes.indexOf(0, nameEnd + 1)
    const question = sqlEnd < 0 ? null : routerAnswer(this.#host, slot, bytes, nameEnd + 1, sqlEnd)
    if (question === null) statements.parse(source, at, nameEnd, stop, end, facts)
    else statements.parseInstead(source, at, nameEnd, question, facts)
    // Of a statement whose name is taken, nothing has to be sent.
    this.#bodyGoesOn = stop <= end || statements.isLong
    return this.#bodyGoesOn ? stop : this.#abandonText(stop)
  }

  /** The unnamed statement, as it was before: many drivers send the same one for every query. */
  #parseAgain(source: NativeBuffer, at: number, stop: number): number {
    const statements = this.needStatements()
    const effects = statements.book.unnamedEffects
    this.#passing = null
    this.#session.seat.prepare(effects)
    if (this.#skipped()) return stop
    if (effects !== null) this.#session.seat.foresee(effects)
    statements.parseAgain(source, at, stop)
    return stop
  }

  /** `start`: where the text begins. */
  #noteCommentOfParse(source: NativeBuffer, start: number, end: number): void {
    if (!this.#host.analyzer.values.hints) return
    const stop = source.bytes.indexOf(0, start)
    if (stop < end) noteComment(this.#host, this.#session.slot, source, start, stop < 0 ? end : stop)
  }

  #bind(source: NativeBuffer, at: number, stop: number, end: number): number {
    if ((stop > end && stop - at <= SEEN_BYTES) || !this.#attached(source, at, end)) return -1
    const statements = this.needStatements()
    if (statements.mustWait) return this.#wait()
    const session = this.#session
    const effects = statements.effectsOfBind(source, at, stop, end)
    if (effects === undefined) return end
    if (session.seat.isInReplicaTransaction && !this.#staysOnReplica(effects ?? NO_EFFECTS, statements.boundText))
      return this.#leaveReplica(source, at, stop, end)
    if (effects !== null && concernsListening(effects) && !session.admitListening(effects)) return this.#hold()
    session.seat.prepare(effects)
    if (this.#skipped()) return stop
    if (effects !== null && session.settings.mustWait(effects, session.server)) return this.#hold()
    statements.noteBind(effects)
    this.#bodyGoesOn = true
    statements.bind(source, at, stop, end)
    return stop
  }

  #execute(source: NativeBuffer, at: number, stop: number, end: number): number {
    if (!this.#attached(source, at, end)) return -1
    this.#session.seat.prepare(null)
    if (this.#skipped()) return stop
    this.#statements?.noteExecute()
    this.#push(REPLY.execute)
    return this.#forward(source, at, stop, end)
  }

  /** Describe and Close. */
  #named(type: number, source: NativeBuffer, at: number, stop: number, end: number): number {
    if ((stop > end && stop - at <= SEEN_BYTES) || !this.#attached(source, at, end)) return -1
    const statements = this.needStatements()
    if (statements.mustWait) return this.#wait()
    this.#session.seat.prepare(null)
    if (this.#skipped()) return stop
    this.#bodyGoesOn = true
    const isRight =
      type === FRONTEND.describe ? statements.describe(source, at, stop) : statements.close(source, at, stop)
    return isRight ? stop : end
  }

  #sync(source: NativeBuffer, at: number, stop: number, end: number): number {
    const { server } = this.#session
    if (!server) {
      // Nothing is open, so nothing needs a server to be closed.
      const { listening } = this.#session
      if (listening?.isConcerned && this.#session.idleStatus === STATUS.idle) {
        listening.end(null)
        return stop
      }
      writeReady(writer.reset(), this.#session.idleStatus)
      this.#session.send(writer.bytes)
      return stop
    }
    // While copying in, the server reads and ignores it.
    if (!server.relay.ignoresSync) {
      this.#push(REPLY.sync)
      this.#session.noteRequest()
    }
    return this.#forward(source, at, stop, end)
  }

  #flush(source: NativeBuffer, at: number, stop: number, end: number): number {
    const { server } = this.#session
    if (!server) return stop
    // Answers of ours that nothing of the server's will come before.
    this.#host.toClient.begin(this.#session.link)
    server.relay.synthesize()
    this.#host.toClient.flush()
    return this.#forward(source, at, stop, end)
  }

  /** By object id: what it calls is anybody's guess. */
  #functionCall(source: NativeBuffer, at: number, stop: number, end: number): number {
    if (!this.#attached(source, at, end)) return -1
    if (this.#session.seat.isInReplicaTransaction) return this.#leaveReplica(source, at, stop, end)
    this.#session.seat.prepare(null)
    if (this.#skipped()) return stop
    this.#session.settings.pin(PIN.unknownFunction)
    this.#push(REPLY.functionCall)
    this.#session.noteRequest()
    return this.#forward(source, at, stop, end)
  }

  /** After an error in an extended query the server ignores everything up to the Sync. */
  #skipped(): boolean {
    return this.#session.server?.queue.skipping ?? true
  }

  #push(kind: number): void {
    this.#session.server?.queue.push(kind)
  }

  #forward(source: NativeBuffer, at: number, stop: number, end: number): number {
    this.#bodyGoesOn = true
    this.#host.toServer.forward(source, at, Math.min(stop, end))
    return stop
  }

  /** What follows has to wait until the server has answered what was sent. */
  #hold(): number {
    this.#session.holdBack()
    return -1
  }

  /** So many answers are owed that the server must be made to give some. */
  #wait(): number {
    this.#host.toServer.insert(FLUSH)
    this.#session.holdBack()
    return -1
  }
}

/** More of the message has to be there before it is dealt with: all of it, or, of a long one, its head. */
function isTooShort(at: number, stop: number, end: number): boolean {
  return stop > end && (stop - at <= SEEN_BYTES || end - at < HEAD_BYTES)
}

/** A query with these facts says something of prepared statements. */
function concernsStatements({ flags }: StatementFacts): boolean {
  return (flags & (FACT.executes | FACT.deallocates | FACT.deallocatesAll | FACT.discardsAll)) !== 0
}
