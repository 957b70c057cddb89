import type { NativeBuffer } from '../io/native.ts'
import { READ_HEADROOM } from '../io/read-buffers.ts'
import { SERVER_STEP } from '../memory/server-slots.ts'
import { BACKEND, HEADER_BYTES, lengthAt } from '../protocol/message-type.ts'
import { CLOSE_COMPLETE, type ErrorFields, PARSE_COMPLETE } from '../protocol/messages.ts'
import { ClientDelivery } from './client-delivery.ts'
import { OwnQuestions } from './own-questions.ts'
import { clearedBy, fieldsOf, isPlain, mayWrite } from './reply-messages.ts'
import { CAPTURE, REPLY, SWALLOW, SYNTHESIZE } from './reply-queue.ts'
import type { ReplySink } from './reply-sink.ts'
import type { ServerConnection } from './server-connection.ts'
import type { ServerHost } from './server-host.ts'
import { isFarewell, takeNotification, takeParameter } from './unsolicited-messages.ts'

const DIVERGED = 'its answers are not those that its client has got'
/** Messages that change what we know are seen whole, unless they are longer than this. */
const LONGEST_NOTABLE = READ_HEADROOM - HEADER_BYTES

/**
 * The way back: walks the headers of what a server sends, keeps the book of what it still owes, and passes everything
 * that is the client's on in runs as long as possible.
 */
export class ReplyRelay {
  readonly #host: ServerHost
  readonly #server: ServerConnection
  /** Bytes of a message body still to come, and whether they are the client's. */
  #body = 0
  #bodyIsForClient = false
  #copyingIn = false
  /** A part of an answer has been put together for the client, by this `consume`. */
  #hasAnswered = false
  /** COPY both ways: a walsender, until its ReadyForQuery. */
  #copyingBoth = false
  readonly questions: OwnQuestions
  /** What its client gets of all this. */
  readonly delivery: ClientDelivery
  /** The client has got something of the answers that it is owed. */
  isDelivered = false
  /** A FATAL error: the server closes next. */
  lastWords: ErrorFields | null = null

  constructor(host: ServerHost, server: ServerConnection) {
    this.#host = host
    this.#server = server
    this.questions = new OwnQuestions(server)
    this.delivery = new ClientDelivery(host.toClient)
  }

  /** Bytes of a message body still to come. */
  get bodyRemaining(): number {
    return this.#body
  }

  /** SERVER_STEP bits of where it is. */
  get stepFlags(): number {
    return (
      (this.#bodyIsForClient ? SERVER_STEP.bodyIsForClient : 0) |
      (this.#copyingIn ? SERVER_STEP.copyingIn : 0) |
      (this.#copyingBoth ? SERVER_STEP.copyingBoth : 0)
    )
  }

  /** As it was in another process. */
  restore(body: number, flags: number): void {
    this.#body = body
    this.#bodyIsForClient = (flags & SERVER_STEP.bodyIsForClient) !== 0
    this.#copyingIn = (flags & SERVER_STEP.copyingIn) !== 0
    this.#copyingBoth = (flags & SERVER_STEP.copyingBoth) !== 0
  }

  get midMessage(): boolean {
    return this.#body > 0 && this.#bodyIsForClient
  }

  get copyingIn(): boolean {
    return this.#copyingIn || this.#copyingBoth
  }

  /** What the server reads now is the data of a COPY: it ignores a Sync. */
  get ignoresSync(): boolean {
    return this.#copyingIn
  }

  /** The client has sent all of its data: from here on a Sync counts again. */
  endCopyIn(): void {
    if (!this.#copyingIn) this.#server.queue.endCopyEarly()
    this.#copyingIn = false
  }

  /** Returns where the first unused byte is; what is left is less than one message. */
  consume(source: NativeBuffer, start: number, end: number): number {
    let at = start
    this.#hasAnswered = false
    this.#begin()
    const { bytes } = source
    while (at < end) {
      if (this.#body > 0) {
        const stop = Math.min(end, at + this.#body)
        if (this.#bodyIsForClient && this.#server.client) this.delivery.forward(source, at, stop)
        this.#body -= stop - at
        at = stop
        continue
      }
      if (end - at < HEADER_BYTES) break
      const type = bytes[at] as number
      const length = lengthAt(bytes, at + 1)
      if (length < 4) {
        this.#server.lose('the server sent a message of impossible length', null)
        return end
      }
      const stop = at + 1 + length
      if ((this.#server.queue.head & SYNTHESIZE) !== 0) this.synthesize()
      if (isPlain(type)) {
        if (stop > end && (this.#server.queue.head & CAPTURE) !== 0 && length < LONGEST_NOTABLE) break
        this.#pass(source, at, stop, end)
        at = Math.min(stop, end)
        continue
      }
      if (stop > end && length < LONGEST_NOTABLE) break
      if (!this.#notable(type, source, at, Math.min(stop, end), stop - Math.min(stop, end))) return end
      at = Math.min(stop, end)
    }
    this.#finish()
    return at
  }

  #deliver(source: NativeBuffer, at: number, stop: number): void {
    this.isDelivered = true
    this.delivery.forward(source, at, stop)
  }

  #begin(): void {
    const { client } = this.#server
    if (client) this.#host.toClient.begin(client.link)
  }

  /** False when the client is gone. */
  #finish(): void {
    const server = this.#server
    const { client } = server
    // The client may wait for them, having sent a Flush: nothing of the server's may follow.
    if ((this.#server.queue.head & SYNTHESIZE) !== 0) this.synthesize()
    this.#server.remains(this.midMessage ? this.#body : 0)
    const { attempt } = server.work
    if (attempt?.isOpen === true && this.#hasAnswered) attempt.close()
    if (client && !this.#host.toClient.flush()) client.onLost()
    this.delivery.settle(!server.isAsked && !server.inTransaction)
    if (this.delivery.hasDiverged && server.client !== null) server.close(DIVERGED)
  }

  /** A message, or its first part, that only needs forwarding. */
  #pass(source: NativeBuffer, at: number, stop: number, end: number): void {
    const { head } = this.#server.queue
    const forClient = (head & SWALLOW) === 0
    if ((head & CAPTURE) !== 0) this.questions.row(source.bytes, at, stop, end)
    if (stop > end) {
      this.#body = stop - end
      this.#bodyIsForClient = forClient
    }
    if (!forClient || this.#server.client === null) return
    this.#hasAnswered = true
    this.#deliver(source, at, Math.min(stop, end))
  }

  /** A message that changes what we know. False when `consume` must end: the connection is closed. */
  #notable(type: number, source: NativeBuffer, at: number, stop: number, missing: number): boolean {
    const server = this.#server
    const { queue } = server
    if (missing > 0) {
      this.#body = missing
      this.#bodyIsForClient = (queue.head & SWALLOW) === 0
    }
    switch (type) {
      case BACKEND.readyForQuery:
        return this.#ready(source, at, stop)
      case BACKEND.errorResponse:
        return this.#error(source, at, stop, missing)
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
        if ((queue.head & SWALLOW) === 0) {
          const cleared = clearedBy(source.bytes, at, stop)
          if (cleared !== null) server.client?.onCleared(cleared)
          if (mayWrite(source.bytes[at + HEADER_BYTES] as number)) server.work.hasWritten = true
          server.client?.onCommand(source.bytes, at + HEADER_BYTES, stop, queue.headKind === REPLY.execute)
        }
        this.#copyingIn = false
        return this.#complete(REPLY.execute, source, at, stop)
      case BACKEND.emptyQueryResponse:
      case BACKEND.portalSuspended:
        this.#copyingIn = false
        return this.#complete(REPLY.execute, source, at, stop)
      case BACKEND.copyInResponse:
        this.#copyingIn = queue.beginCopyIn()
        break
      case BACKEND.copyBothResponse:
        this.#copyingBoth = true
        break
      case BACKEND.noticeResponse:
        if (missing === 0 && isFarewell(server, source, at, stop)) return true
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

  /** The answer to an extended-query message; within a simple query these messages end nothing. */
  #complete(kind: number, source: NativeBuffer, at: number, stop: number): boolean {
    const server = this.#server
    const { queue, client } = server
    const { head } = queue
    const forward = (head & SWALLOW) === 0 && client !== null
    if (forward) {
      this.#hasAnswered = true
      this.#deliver(source, at, stop)
    }
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
      this.delivery.insert((entry & 0x0f) === REPLY.parse ? PARSE_COMPLETE : CLOSE_COMPLETE)
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
    this.#copyingIn = false
    this.#copyingBoth = false
    if ((queue.head & SWALLOW) !== 0 && !this.#passOn()) return false
    const status = source.bytes[at + HEADER_BYTES] as number
    const entry = queue.pop()
    server.noteStatus(status)
    const { client } = server
    if ((entry & SWALLOW) !== 0) {
      this.questions.answered(entry)
      if (server.state === 'closing') return false
      this.#begin()
      return true
    }
    if (!client) return true
    const words = client.beforeReady(status)
    if (words !== null && !this.delivery.isEchoing) this.#host.toClient.insert(words)
    if (!client.withholdsReady(status)) this.delivery.forward(source, at, stop)
    if (this.delivery.isEchoing && this.#fallsShort()) {
      server.close(DIVERGED)
      return false
    }
    if (!this.#host.toClient.flush()) {
      client.onLost()
      return false
    }
    client.onReady(status)
    if (server.state === 'closing') return false
    client.onProgress()
    this.#begin()
    return true
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
    const { delivery } = this
    const { isAsked, work } = this.#server
    if (!isAsked && work.sent.length >= (delivery.echo?.answered ?? 0)) delivery.fallShort()
    return delivery.hasDiverged
  }

  #error(source: NativeBuffer, at: number, stop: number, missing: number): boolean {
    const server = this.#server
    const { queue, client } = server
    this.#copyingIn = false
    const fields = missing > 0 ? null : fieldsOf(source, at, stop)
    if (fields?.severity === 'FATAL') {
      // Told to the client, if it waits for something, as an error of its request when the connection ends.
      this.lastWords = fields
      return true
    }
    if ((queue.head & SWALLOW) !== 0 && queue.headKind <= REPLY.query) {
      this.questions.failed(fields)
    } else if (client) {
      if (server.work.attempt?.isOpen === true && this.#asksElsewhere(client, fields?.sqlstate ?? '')) return true
      this.#deliver(source, at, stop)
      client.onError(fields?.sqlstate ?? '')
    }
    queue.fail((entry) => client?.onSkipped(entry))
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

/** 57P01 to 57P03: the server, or this connection to it, is coming to its end. */
function isEnd(sqlstate: string | undefined): boolean {
  return sqlstate?.startsWith('57P') === true
}
