import { type Link, READ_HEADROOM } from '../io/link.ts'
import type { NativeBuffer } from '../io/native.ts'
import { PIN } from '../memory/client-slots.ts'
import { FRONTEND, HEADER_BYTES, lengthAt, MAX_MESSAGE_BYTES, STATUS } from '../protocol/message-type.ts'
import { type ErrorFields, FLUSH, writeError, writeReady } from '../protocol/messages.ts'
import { MessageWriter } from '../protocol/writer.ts'
import { REPLY } from '../server/reply-queue.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import { PassingText } from '../sql/passing-text.ts'
import { type Effects, FACT, type StatementFacts } from '../sql/statement-facts.ts'
import type { ClientHost } from './client-host.ts'
import { concernsListening, ListeningStatements } from './listening-statements.ts'
import type { SessionListening } from './session-listening.ts'
import { StatementRelay } from './statement-relay.ts'

/** What the walk through a client's requests needs of its session. */
export interface RequestSession {
  readonly link: Link
  readonly server: ServerConnection | null
  /** Serial number, unique in the plane. */
  readonly serial: number
  /** Attaches a server connection; false: wait, and keep the rest of the bytes. */
  acquire(): boolean
  /** Puts a server connection that it has just got into its state, on `host.toServer`; `effects`: of what is sent next. */
  prepare(effects: Effects | null): void
  /** What has these effects, null: unknown ones, may not be sent before the server has answered what was. */
  mustWait(effects: Effects | null): boolean
  /** Something with these effects is about to be sent. */
  foresee(effects: Effects): void
  /** A statement with these effects is sent and will be executed. */
  note(effects: Effects): void
  /** A query with these effects has been sent. */
  noteSent(effects: Effects): void
  /** Null: it has never listened to anything that others hear for it. */
  readonly listening: SessionListening | null
  /** What is about to be sent changes what the session listens to; false: not yet. */
  admitListening(facts: StatementFacts): boolean
  pin(bits: number): void
  /** A request that is answered with ReadyForQuery is on its way. */
  noteRequest(): void
  /** What follows cannot be taken at the moment. */
  holdBack(): void
  violate(message: string): void
  terminate(): void
  send(bytes: Uint8Array): void
  /** The transaction status the client believes in while it has no server. */
  readonly idleStatus: number
}

const writer = new MessageWriter()
/** A message that must be seen whole may be this long; longer ones stream through, and are looked at meanwhile. */
const SEEN_BYTES = READ_HEADROOM - HEADER_BYTES
/** So much of those has to be there before anything is decided: names are at the beginning. */
const HEAD_BYTES = 16_384
/** What is not known yet of a text that streams: what it reads of sequences would have to be cleared away before. */
const UNSEEN: Effects = { pins: 0, flags: FACT.readsSequence, settings: [], values: [] }

/**
 * The way there: walks the headers of what a client sends, decides by them, and passes runs of messages on to the
 * session's server connection. One per client; holds only what must survive from one read to the next.
 */
export class RequestRelay {
  readonly #host: ClientHost
  readonly #session: RequestSession
  readonly statements: StatementRelay
  readonly #listening = new ListeningStatements()
  /** Bytes of a message body still to come, and whether they go to the server. */
  #body = 0
  #bodyGoesOn = false
  /** The Query whose body that is, if it is too long to be seen whole. */
  #passing: PassingText | null = null
  /** Answers the next request instead of a server. */
  #rejection: ErrorFields | null = null
  /** An extended query was rejected: everything up to its Sync is ignored. */
  #ignoringToSync = false

  constructor(host: ClientHost, session: RequestSession) {
    this.#host = host
    this.#session = session
    this.statements = new StatementRelay(host, session)
  }

  /** A message has been sent in part: its server connection can serve nobody else. */
  get midMessage(): boolean {
    return this.#body > 0 && this.#bodyGoesOn
  }

  /** The next request gets this error; the client stays. */
  reject(fields: ErrorFields): void {
    this.#rejection = fields
  }

  /** The server is gone: what is left of a message goes nowhere. `toSync`: so does the rest of an extended query. */
  abort(toSync: boolean): void {
    this.#bodyGoesOn = false
    this.#passing = null
    this.#ignoringToSync = toSync
  }

  /** Returns where the first unused byte is: a part of a message, or requests that have to wait. */
  consume(source: NativeBuffer, start: number, end: number): number {
    const { toServer } = this.#host
    const session = this.#session
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
    if (server && !toServer.flush()) server.lose(server.link.failure, null)
    return at
  }

  /** One message whose header is at `at`. Returns its end, which may be past `end`; −1: keep it for later. */
  #message(source: NativeBuffer, at: number, stop: number, end: number): number {
    const type = source.bytes[at] as number
    this.#bodyGoesOn = false
    if (this.#rejection !== null || this.#ignoringToSync) return this.#refuse(type, stop)
    if (this.#session.server?.queue.full) return this.#wait()
    if (this.#session.listening?.mayGoOn === false) return this.#hold()
    switch (type) {
      case FRONTEND.query:
        return this.#query(source, at, stop, end)
      case FRONTEND.parse:
      case FRONTEND.bind:
      case FRONTEND.describe:
      case FRONTEND.close:
        return this.#named(type, source, at, stop, end)
      case FRONTEND.execute:
        return this.#request(source, at, stop, end, REPLY.execute)
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
    // Nobody holds a server connection while the rest of a message is on its way, and nothing is looked at in vain.
    if (isTooShort(at, stop, end) || !this.#attached()) return -1
    const passing = stop > end ? new PassingText() : null
    const facts = this.#queryFacts(passing, source, at + HEADER_BYTES, stop, end)
    // What is still to come may be anything.
    const effects = passing === null ? facts : UNSEEN
    if (passing === null && concernsListening(facts) && !this.#session.admitListening(facts)) return this.#hold()
    this.#session.prepare(effects)
    if (this.#skipped()) return stop
    if (this.#session.mustWait(passing === null ? facts : null)) return this.#hold()
    this.#session.foresee(effects)
    this.#session.note(effects)
    this.statements.forgetUnnamed()
    const named = (facts.flags & (FACT.executes | FACT.deallocates)) !== 0
    const renamed = named && (facts.flags & FACT.several) === 0 && this.statements.query(source, at, stop, end, facts)
    this.#push(REPLY.query)
    this.#session.noteRequest()
    this.#passing = passing
    this.#bodyGoesOn = true
    return renamed ? stop : this.#forward(source, at, stop, end)
  }

  /** Of what is there of a text. */
  #queryFacts(
    passing: PassingText | null,
    source: NativeBuffer,
    start: number,
    stop: number,
    end: number,
  ): StatementFacts {
    if (passing === null) {
      this.#host.facts.read(source.bytes, start, stop - 1)
      return this.#host.facts
    }
    passing.pass(source.bytes, start, end, false)
    return passing.facts
  }

  /** Some more of a text has been sent, before the server can have answered it. */
  #pass(text: PassingText, source: NativeBuffer, at: number, stop: number): void {
    const isLast = this.#body === 0
    text.pass(source.bytes, at, isLast ? stop - 1 : stop, isLast)
    if (!isLast) return
    this.#passing = null
    if (this.#bodyGoesOn) this.#session.noteSent(text.facts)
  }

  #attached(): boolean {
    return this.#session.server !== null || this.#session.acquire()
  }

  /** Null: too long to be looked at, which pins. */
  #facts(source: NativeBuffer, start: number, stop: number, end: number): StatementFacts | null {
    if (stop > end) {
      this.#session.pin(PIN.undecidedStatement)
      return null
    }
    this.#host.facts.read(source.bytes, start, stop - 1)
    return this.#host.facts
  }

  /** Messages that name a statement or portal. */
  #named(type: number, source: NativeBuffer, at: number, stop: number, end: number): number {
    if ((stop > end && stop - at <= SEEN_BYTES) || !this.#attached()) return -1
    let facts: StatementFacts | null = null
    if (type === FRONTEND.parse) {
      const nameEnd = source.bytes.indexOf(0, at + HEADER_BYTES)
      if (this.statements.isUncertain(source, at, nameEnd)) return this.#wait()
      facts = this.#facts(source, nameEnd + 1, stop, end)
      if (facts !== null && concernsListening(facts) && !this.#session.admitListening(facts)) return this.#hold()
      if (facts !== null) this.#listening.note(source.bytes, at + HEADER_BYTES, nameEnd, facts)
    } else if (
      !this.#listening.isEmpty &&
      type === FRONTEND.bind &&
      !this.#admitBound(source, at, Math.min(stop, end))
    ) {
      return this.#hold()
    }
    this.#session.prepare(facts)
    if (this.#skipped()) return stop
    if (facts) {
      this.#session.foresee(facts)
      this.#session.note(facts)
    }
    this.#bodyGoesOn = true
    return this.statements.message(type, source, at, stop, end) ? stop : end
  }

  /** A prepared LISTEN is as good as any. */
  #admitBound(source: NativeBuffer, at: number, end: number): boolean {
    const channels = this.#listening.bound(source.bytes, at + HEADER_BYTES, end)
    return channels === null || this.#session.listening?.admit(channels) !== false
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
    if (!this.#attached()) return -1
    this.#session.prepare(null)
    if (this.#skipped()) return stop
    this.#session.pin(PIN.unknownFunction)
    this.#push(REPLY.functionCall)
    this.#session.noteRequest()
    return this.#forward(source, at, stop, end)
  }

  #request(source: NativeBuffer, at: number, stop: number, end: number, kind: number): number {
    if (!this.#attached()) return -1
    this.#session.prepare(null)
    if (this.#skipped()) return stop
    this.#push(kind)
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

  /** Answers in place of a server: an error for a whole query, silence for the rest of an extended one. */
  #refuse(type: number, stop: number): number {
    const session = this.#session
    if (type === FRONTEND.terminate) {
      session.terminate()
      return stop
    }
    if (this.#ignoringToSync) {
      if (type !== FRONTEND.sync) return stop
      this.#ignoringToSync = false
      writeReady(writer.reset(), session.idleStatus)
      session.send(writer.bytes)
      return stop
    }
    const fields = this.#rejection as ErrorFields
    this.#rejection = null
    writeError(writer.reset(), fields)
    if (type === FRONTEND.query || type === FRONTEND.functionCall || type === FRONTEND.sync) {
      writeReady(writer, session.idleStatus)
    } else this.#ignoringToSync = true
    session.send(writer.bytes)
    return stop
  }
}

/** More of the message has to be there before it is dealt with: all of it, or, of a long one, its head. */
function isTooShort(at: number, stop: number, end: number): boolean {
  return stop > end && (stop - at <= SEEN_BYTES || end - at < HEAD_BYTES)
}
