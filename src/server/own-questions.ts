import type { Gather } from '../io/gather.ts'
import { BACKEND, HEADER_BYTES } from '../protocol/message-type.ts'
import { type ErrorFields, writeQuery } from '../protocol/messages.ts'
import { MessageWriter } from '../protocol/writer.ts'
import { CapturedRows, type CapturedState } from './captured-rows.ts'
import { CAPTURE, KIND, REPLY, SWALLOW } from './reply-queue.ts'
import type { ServerConnection } from './server-connection.ts'

const writer = new MessageWriter()

/** Queries of our own to a server, whose answers no client sees. They end the unnamed prepared statement, as any query. */
export class OwnQuestions {
  readonly #server: ServerConnection
  #failure: ErrorFields | null = null
  #rows: CapturedRows | null = null

  constructor(server: ServerConnection) {
    this.#server = server
  }

  /** An answer has come in part. */
  get isOpen(): boolean {
    return this.#failure !== null || this.#rows?.isOpen === true
  }

  /** The error in an answer that is not complete. */
  get failure(): ErrorFields | null {
    return this.#failure
  }

  /** The rows of an answer that is not complete. */
  get captured(): CapturedState | null {
    return this.#rows?.state ?? null
  }

  /** As it was in another process. */
  restore(failure: ErrorFields | null, rows: CapturedState | null): void {
    this.#failure = failure
    this.#rows = rows === null ? null : CapturedRows.from(rows)
  }

  /** Nobody has the server connection, or nobody who asks anything: only whether it fails counts. False: it is gone. */
  ask(sql: string): boolean {
    return this.#send(REPLY.query | SWALLOW, sql)
  }

  /** Its client has been answered, and we want to know something of its session: `onInquired` follows. */
  inquire(sql: string): boolean {
    this.#rows ??= new CapturedRows()
    return this.#send(REPLY.query | SWALLOW | CAPTURE, sql)
  }

  /** Ahead of a client's request, on the way out together with it: `onPrepared` follows. */
  prepare(sql: string, toServer: Gather): void {
    this.#compose(REPLY.query | SWALLOW, sql)
    toServer.insert(writer.bytes)
  }

  /** Ahead of a COMMIT, or of a transaction, on the way out together with it: `server.mark` gets the answer. */
  mark(sql: string, toServer: Gather): void {
    this.#rows ??= new CapturedRows()
    this.#server.work.mark.asked()
    this.#compose(REPLY.mark | SWALLOW | CAPTURE, sql)
    toServer.insert(writer.bytes)
  }

  /** A message at `at` that belongs to the answer of an inquiry; it is whole unless it ends past `end`. */
  row(bytes: Buffer, at: number, stop: number, end: number): void {
    if (bytes[at] !== BACKEND.dataRow) return
    if (stop > end) this.#rows?.giveUp()
    else this.#rows?.add(bytes, at + HEADER_BYTES, stop)
  }

  /** One of them has got an error; `fields` null: it could not be read. */
  failed(fields: ErrorFields | null): void {
    this.#failure = fields ?? { severity: 'ERROR', sqlstate: 'XX000', message: 'error in answer to the router' }
  }

  /** The one with this entry in the reply queue, just taken off it, is answered. */
  answered(entry: number): void {
    const server = this.#server
    const { client } = server
    const failure = this.#failure
    this.#failure = null
    const rows = (entry & CAPTURE) === 0 ? null : (this.#rows?.take() ?? null)
    if ((entry & KIND) === REPLY.mark) {
      server.work.mark.answered(failure === null ? rows : null)
      return
    }
    if (client === null) {
      // What its last client was still owed comes first.
      if (server.queue.length === 0) server.onAnswered(failure)
    } else if ((entry & CAPTURE) !== 0) client.onInquired(failure === null ? rows : null)
    else client.onPrepared(failure)
  }

  #send(entry: number, sql: string): boolean {
    this.#compose(entry, sql)
    return this.#server.link.send(writer.bytes)
  }

  #compose(entry: number, sql: string): void {
    this.#server.queue.push(entry)
    this.#server.unnamedOwner = 0
    writeQuery(writer.reset(), sql)
  }
}
