import type { NativeBuffer } from '../io/native.ts'
import { SERVER_STEP } from '../memory/server-slots.ts'
import { BACKEND, HEADER_BYTES } from '../protocol/message-type.ts'
import { CLOSE_COMPLETE, type ErrorFields, PARSE_COMPLETE } from '../protocol/messages.ts'
import { type ClientDelivery, DIVERGED } from './client-delivery.ts'
import type { OwnQuestions } from './own-questions.ts'
import { clearedBy, fieldsOf, mayWrite, writesRows } from './reply-messages.ts'
import { REPLY, SWALLOW, SYNTHESIZE } from './reply-queue.ts'
import type { ReplySink } from './reply-sink.ts'
import type { ServerConnection } from './server-connection.ts'
import type { ServerHost } from './server-host.ts'
import { isEnd, isFarewell, takeNotification, takeParameter } from './unsolicited-messages.ts'

/** SQLSTATE of a message that may not come where it came. */
const VIOLATION = '08P01'

/**
 * What the messages of a server mean: keeps the book of what it still owes, tells the client's session, and says what of
 * them the client gets.
 */
export class ServerAnswers {
  readonly #host: ServerHost
  readonly #server: ServerConnection
  readonly #questions: OwnQuestions
  readonly #delivery: ClientDelivery
  /**
   * Whether the server takes the data of a COPY. in: until the client or the server ends it. both: a walsender, until its
   * ReadyForQuery.
   */
  #copying: 'none' | 'in' | 'both' = 'none'
  /** A part of an answer has been put together for the client, since `begin`. */
  #hasAnswered = false
  /** The client has got something of the answers that it is owed. */
  isDelivered = false
  /** What went ahead of the query that is to be answered has failed, and the client has been told. */
  #isTold = false
  /** A FATAL error: the server closes next. */
  lastWords: ErrorFields | null = null

  constructor(host: ServerHost, server: ServerConnection, questions: OwnQuestions, delivery: ClientDelivery) {
    this.#host = host
    this.#server = server
    this.#questions = questions
    this.#delivery = delivery
  }

  /** SERVER_STEP bits of where it is. */
  get stepFlags(): number {
    if (this.#copying === 'none') return 0
    return this.#copying === 'in' ? SERVER_STEP.copyingIn : SERVER_STEP.copyingBoth
  }

  /** As it was in another process. */
  restore(flags: number): void {
    if ((flags & SERVER_STEP.copyingBoth) !== 0) this.#copying = 'both'
    else this.#copying = (flags & SERVER_STEP.copyingIn) !== 0 ? 'in' : 'none'
  }

  /** The client may send data of a COPY. */
  get copyingIn(): boolean {
    return this.#copying !== 'none'
  }

  /** What the server reads now is the data of a COPY: it ignores a Sync. */
  get ignoresSync(): boolean {
    return this.#copying === 'in'
  }

  /** The client has sent all of its data: from here on a Sync counts again. */
  endCopyIn(): void {
    if (this.#copying !== 'in') this.#server.queue.endCopyEarly()
    this.#noCopyIn()
  }

  #noCopyIn(): void {
    if (this.#copying === 'in') this.#copying = 'none'
  }

  /** Messages have come, and what is put together is for the client. */
  begin(): void {
    this.#hasAnswered = false
    this.#resume()
  }

  #resume(): void {
    const { client } = this.#server
    if (client) this.#host.toClient.begin(client.link)
  }

  /** They are used up. */
  end(): void {
    const { attempt } = this.#server.work
    if (attempt?.isOpen === true && this.#hasAnswered) attempt.close()
  }

  /** `source[at, stop)` is a part of an answer to the client, which it gets. */
  forward(source: NativeBuffer, at: number, stop: number): void {
    this.#hasAnswered = true
    this.#deliver(source, at, stop)
  }

  #deliver(source: NativeBuffer, at: number, stop: number): void {
    this.isDelivered = true
    this.#delivery.forward(source, at, stop)
  }

  /**
   * A message that changes what we know, or its first part: then it is not `isWhole`. False: nothing more may be used of what
   * has come, the connection is closed or its client is gone.
   */
  take(type: number, source: NativeBuffer, at: number, stop: number, isWhole: boolean): boolean {
    const server = this.#server
    const { queue } = server
    switch (type) {
      case BACKEND.readyForQuery:
        return this.#ready(source, at, stop)
      case BACKEND.errorResponse:
        return this.#error(source, at, stop, isWhole)
      case BACKEND.parameterStatus:
        return takeParameter(this.#host, server, source, at, stop)
      case BACKEND.parseComplete:
        return this.#complete(REPLY.parse, source, at, stop)
      case BACKEND.bindComplete:
        return this.#complete(REPLY.bind, source, at, stop)
      case BACKEND.closeComplete:
        return this.#complete(REPLY.close, source, at, stop)
      case BACKEND.noData:
      case BACKEND.rowDescription:
        return this.#complete(REPLY.describe, source, at, stop)
      case BACKEND.commandComplete:
        this.#noteCommand(source, at, stop)
        return this.#executed(source, at, stop)
      case BACKEND.emptyQueryResponse:
      case BACKEND.portalSuspended:
        return this.#executed(source, at, stop)
      case BACKEND.copyInResponse:
        this.#copying = queue.beginCopyIn() ? 'in' : 'none'
        break
      case BACKEND.copyBothResponse:
        this.#copying = 'both'
        break
      case BACKEND.noticeResponse:
        if (isWhole && isFarewell(server, source, at, stop)) return true
        // Nobody has to know that this one ends, when another is asked.
        if (server.work.attempt?.isOpen === true && isEnd(fieldsOf(source, at, stop)?.sqlstate)) return true
        break
      case BACKEND.notificationResponse:
        return takeNotification(this.#host, server, source, at, stop)
      default:
        server.lose(`the server sent an unknown message ${type}`, null)
        return false
    }
    if ((queue.head & SWALLOW) === 0 && server.client) this.#deliver(source, at, stop)
    return true
  }

  /** A statement is done; within a simple query others may follow. */
  #executed(source: NativeBuffer, at: number, stop: number): boolean {
    this.#noCopyIn()
    return this.#complete(REPLY.execute, source, at, stop)
  }

  #noteCommand({ bytes }: NativeBuffer, at: number, stop: number): void {
    const { queue, client, work } = this.#server
    if ((queue.head & SWALLOW) !== 0) return
    const cleared = clearedBy(bytes, at, stop)
    if (cleared !== null) client?.onCleared(cleared)
    if (mayWrite(bytes[at + HEADER_BYTES] as number)) {
      work.hasWritten = true
      if (writesRows(bytes, at + HEADER_BYTES)) work.numbers = 'own'
    }
    client?.onCommand(bytes, at + HEADER_BYTES, stop, queue.headKind === REPLY.execute)
  }

  /** The answer to an extended-query message; within a simple query these messages end nothing. */
  #complete(kind: number, source: NativeBuffer, at: number, stop: number): boolean {
    const { queue, client } = this.#server
    const { head } = queue
    if ((head & SWALLOW) === 0 && client !== null) this.forward(source, at, stop)
    if (queue.headKind !== kind) return true
    queue.pop()
    client?.onAnswered(head)
    client?.onProgress()
    return true
  }

  /** Makes the answers whose turn has come and that the server was never asked for, on `host.toClient`. */
  synthesize(): void {
    const { queue, client } = this.#server
    while ((queue.head & SYNTHESIZE) !== 0) {
      const entry = queue.pop()
      if (!client) continue
      this.isDelivered = true
      this.#delivery.insert((entry & 0x0f) === REPLY.parse ? PARSE_COMPLETE : CLOSE_COMPLETE)
      client.onAnswered(entry)
    }
  }

  #ready(source: NativeBuffer, at: number, stop: number): boolean {
    const server = this.#server
    const { queue } = server
    if (queue.length === 0) {
      server.lose('the server is ready for a query that nobody sent', null)
      return false
    }
    this.#copying = 'none'
    if ((queue.head & SWALLOW) !== 0 && !this.#passOn()) return false
    const status = source.bytes[at + HEADER_BYTES] as number
    const entry = queue.pop()
    server.noteStatus(status)
    const { client } = server
    if ((entry & SWALLOW) !== 0) {
      this.#questions.answered(entry)
      if (server.state === 'closing') return false
      this.#resume()
      return true
    }
    this.#isTold = false
    if (!client) return true
    if (!this.#deliverReady(client, status, source, at, stop)) return false
    client.onReady(status)
    if (server.state === 'closing') return false
    client.onProgress()
    this.#resume()
    return true
  }

  /** False: the connection is closed, or the client is gone. */
  #deliverReady(client: ReplySink, status: number, source: NativeBuffer, at: number, stop: number): boolean {
    const { toClient } = this.#host
    const words = client.beforeReady(status)
    if (words !== null && !this.#delivery.isEchoing) toClient.insert(words)
    if (!client.withholdsReady(status)) this.#delivery.forward(source, at, stop)
    if (this.#delivery.isEchoing && this.#fallsShort()) {
      this.#server.close(DIVERGED)
      return false
    }
    if (toClient.flush()) return true
    client.onLost()
    return false
  }

  /**
   * A notification may have come with the answer to a question of ours: it leaves before anybody goes on who uses the same buffer.
   * False: the connection is closed, with its client.
   */
  #passOn(): boolean {
    const { client } = this.#server
    if (client && !this.#host.toClient.flush()) client.onLost()
    return this.#server.state !== 'closing'
  }

  /** What its client had been answered has been answered once more, and was not the same. */
  #fallsShort(): boolean {
    const delivery = this.#delivery
    const { isAsked, work } = this.#server
    if (!isAsked && work.sent.length >= (delivery.echo?.answered ?? 0)) delivery.fallShort()
    return delivery.hasDiverged
  }

  #error(source: NativeBuffer, at: number, stop: number, isWhole: boolean): boolean {
    const { queue, client, work } = this.#server
    this.#noCopyIn()
    const fields = isWhole ? fieldsOf(source, at, stop) : null
    if (fields?.severity === 'FATAL' && fields.sqlstate === VIOLATION && client !== null) {
      if (this.#passOn()) client.onViolation(fields)
      return false
    }
    if (fields?.severity === 'FATAL') {
      // Told to the client, if it waits for something, as an error of its request when the connection ends.
      this.lastWords = fields
      return true
    }
    if ((queue.head & SWALLOW) !== 0 && queue.headKind <= REPLY.query) {
      this.#questions.failed(fields)
    } else if (client) {
      if (work.attempt?.isOpen === true && this.#asksElsewhere(client, fields?.sqlstate ?? '')) return true
      if (!this.#isTold || queue.headKind !== REPLY.query) this.#deliver(source, at, stop)
      client.onError(fields?.sqlstate ?? '')
    }
    queue.fail((entry) => client?.onSkipped(entry))
    this.#isTold = client !== null && queue.head === (REPLY.sync | SWALLOW)
    client?.onProgress()
    return true
  }

  /** What has been put together for the client, if anything, is forgotten. */
  #asksElsewhere(client: ReplySink, sqlstate: string): boolean {
    if (this.#host.toClient.hasLeft || !client.onAttemptFailed(sqlstate)) return false
    this.#host.toClient.begin(client.link)
    this.#server.queue.fail(() => {})
    return true
  }
}
