import type { NativeBuffer } from '../io/native.ts'
import { READ_HEADROOM } from '../io/read-buffers.ts'
import { SERVER_STEP } from '../memory/server-slots.ts'
import { HEADER_BYTES, lengthAt } from '../protocol/message-type.ts'
import { ClientDelivery, DIVERGED } from './client-delivery.ts'
import { OwnQuestions } from './own-questions.ts'
import { isPlain } from './reply-messages.ts'
import { CAPTURE, SWALLOW, SYNTHESIZE } from './reply-queue.ts'
import { ServerAnswers } from './server-answers.ts'
import type { ServerConnection } from './server-connection.ts'
import type { ServerHost } from './server-host.ts'

/** Messages that change what we know are seen whole, unless they are longer than this. */
const LONGEST_NOTABLE = READ_HEADROOM - HEADER_BYTES

/**
 * The way back: walks the headers of what a server sends, and passes everything that is the client's on in runs as long as
 * possible. What messages mean is for `answers`.
 */
export class ReplyRelay {
  readonly #host: ServerHost
  readonly #server: ServerConnection
  /** Bytes of a message body still to come, and whether they are the client's. */
  #body = 0
  #bodyIsForClient = false
  readonly questions: OwnQuestions
  /** What its client gets of all this. */
  readonly delivery: ClientDelivery
  readonly answers: ServerAnswers

  constructor(host: ServerHost, server: ServerConnection) {
    this.#host = host
    this.#server = server
    this.questions = new OwnQuestions(server)
    this.delivery = new ClientDelivery(host.toClient)
    this.answers = new ServerAnswers(host, server, this.questions, this.delivery)
  }

  /** Bytes of a message body still to come. */
  get bodyRemaining(): number {
    return this.#body
  }

  /** SERVER_STEP bits of where it is. */
  get stepFlags(): number {
    return (this.#bodyIsForClient ? SERVER_STEP.bodyIsForClient : 0) | this.answers.stepFlags
  }

  /** As it was in another process. */
  restore(body: number, flags: number): void {
    this.#body = body
    this.#bodyIsForClient = (flags & SERVER_STEP.bodyIsForClient) !== 0
    this.answers.restore(flags)
  }

  get midMessage(): boolean {
    return this.#body > 0 && this.#bodyIsForClient
  }

  /** Returns where the first unused byte is; what is left is less than one message. */
  consume(source: NativeBuffer, start: number, end: number): number {
    let at = start
    this.answers.begin()
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
      if ((this.#server.queue.head & SYNTHESIZE) !== 0) this.answers.synthesize()
      if (isPlain(type)) {
        if (stop > end && (this.#server.queue.head & CAPTURE) !== 0 && length < LONGEST_NOTABLE) break
        this.#pass(source, at, stop, end)
        at = Math.min(stop, end)
        continue
      }
      if (stop > end && length < LONGEST_NOTABLE) break
      if (stop > end) this.#expectBody(stop - end, (this.#server.queue.head & SWALLOW) === 0)
      if (!this.answers.take(type, source, at, Math.min(stop, end), stop <= end)) return end
      at = Math.min(stop, end)
    }
    this.#finish()
    return at
  }

  /** A message, or its first part, that only needs forwarding. */
  #pass(source: NativeBuffer, at: number, stop: number, end: number): void {
    const { head } = this.#server.queue
    const forClient = (head & SWALLOW) === 0
    if ((head & CAPTURE) !== 0) this.questions.row(source.bytes, at, stop, end)
    if (stop > end) this.#expectBody(stop - end, forClient)
    if (forClient && this.#server.client !== null) this.answers.forward(source, at, Math.min(stop, end))
  }

  #expectBody(missing: number, isForClient: boolean): void {
    this.#body = missing
    this.#bodyIsForClient = isForClient
  }

  /** All that has come is used. */
  #finish(): void {
    const server = this.#server
    const { client } = server
    // The client may wait for them, having sent a Flush: nothing of the server's may follow.
    if ((server.queue.head & SYNTHESIZE) !== 0) this.answers.synthesize()
    server.remains(this.midMessage ? this.#body : 0)
    this.answers.end()
    if (client && !this.#host.toClient.flush()) client.onLost()
    this.delivery.settle(!server.isAsked && !server.inTransaction)
    if (this.delivery.hasDiverged && server.client !== null) server.close(DIVERGED)
  }
}
