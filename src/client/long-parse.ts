import { LARGEST_BUFFER_BYTES } from '../io/buffer-arena.ts'
import type { NativeBuffer } from '../io/native.ts'
import { HEADER_BYTES } from '../protocol/message-type.ts'
import { writeParseHead } from '../protocol/messages.ts'
import { MessageWriter } from '../protocol/writer.ts'
import { REPLY } from '../server/reply-queue.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import type { PreparedStatement } from '../session/prepared-statements.ts'
import type { StatementFacts } from '../sql/statement-facts.ts'
import type { ClientHost } from './client-host.ts'
import type { RequestSession } from './request-session.ts'
import { noteEffects } from './session-effects.ts'
import type { StatementBook } from './statement-book.ts'
import { NOTHING, UNNAMED } from './statement-journal.ts'
import { makeRoom } from './statement-supply.ts'

/** A longer text is not kept: to parse it elsewhere it would have to wait in one buffer, with what is sent before it. */
const KEPT_BYTES = LARGEST_BUFFER_BYTES - 262_144
const writer = new MessageWriter()

/**
 * One Parse that is too long to be seen whole. It is passed on as it comes, and its text put together meanwhile, so that it
 * can be parsed again on another server connection. Where it is not kept, the session keeps its server connection instead:
 * for as long as an unnamed statement lasts, and for a named one until all are dropped.
 */
export class LongParse {
  readonly #host: ClientHost
  readonly #session: RequestSession
  readonly #book: StatementBook
  /** Of a named one that is kept. */
  #statement: PreparedStatement | null = null
  #isUnnamed = false
  #tail: Buffer | null = null
  #length = 0

  constructor(host: ClientHost, session: RequestSession, book: StatementBook) {
    this.#host = host
    this.#session = session
    this.#book = book
  }

  /** The Parse at `at`, whose name ends at `nameEnd` and is not taken; `end` is as far as it is there. */
  begin(source: NativeBuffer, at: number, nameEnd: number, stop: number, end: number): void {
    const bytes = stop - nameEnd - 1
    this.#tail = bytes > KEPT_BYTES ? null : this.#host.statements.reserve(bytes)
    this.#isUnnamed = nameEnd === at + HEADER_BYTES
    if (this.#isUnnamed) {
      this.#book.keepLongUnnamed(this.#tail)
      this.#book.note(REPLY.parse, UNNAMED)
      this.#host.toServer.forward(source, at, end)
    } else if (this.#tail === null) {
      this.#book.noteForeignName()
      this.#book.note(REPLY.parse, NOTHING)
      this.#host.toServer.forward(source, at, end)
    } else this.#beginNamed(source.bytes.toString('utf8', at + HEADER_BYTES, nameEnd), this.#tail, source, nameEnd, end)
    this.pass(source, nameEnd + 1, end)
  }

  #beginNamed(name: string, tail: Buffer, source: NativeBuffer, nameEnd: number, end: number): void {
    const server = this.#session.server as ServerConnection
    const statement = this.#book.addLong(name, tail)
    this.#statement = statement
    makeRoom(this.#book, server)
    server.statements.add(statement)
    this.#book.note(REPLY.parse, { ...NOTHING, name, statement })
    writeParseHead(writer.reset(), statement.serverName, tail.length)
    this.#host.toServer.insert(writer.bytes)
    this.#host.toServer.forward(source, nameEnd + 1, end)
  }

  /** `source[start, end)` comes next. */
  pass(source: NativeBuffer, start: number, end: number): void {
    if (this.#tail === null) return
    source.bytes.copy(this.#tail, this.#length, start, end)
    this.#length += end - start
  }

  /** All of it has passed, and this is what it does when it is executed. */
  finish(facts: StatementFacts): void {
    if (this.#isUnnamed) this.#book.unnamed.effects = facts.keep()
    else if (this.#statement !== null) this.#statement.effects = facts.keep()
    // Under the client's own name nobody knows when it is executed.
    else noteEffects(this.#session, facts)
  }

  /** The rest of it goes nowhere. */
  abandon(): void {
    if (this.#isUnnamed) this.#book.forgetUnnamed()
  }
}
