import type { NativeBuffer } from '../io/native.ts'
import { FRONTEND, HEADER_BYTES } from '../protocol/message-type.ts'
import { SYNC } from '../protocol/messages.ts'
import { MessageWriter } from '../protocol/writer.ts'
import { REPLY, SWALLOW } from '../server/reply-queue.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import type { PreparedStatement } from '../session/prepared-statements.ts'
import { type Effects, FACT } from '../sql/statement-effects.ts'
import type { StatementFacts } from '../sql/statement-facts.ts'
import type { ClientHost } from './client-host.ts'
import type { StatementBook, StatementOwner } from './statement-book.ts'
import { takeName } from './statement-parse.ts'
import { closeStray, ensureStatement } from './statement-supply.ts'

const writer = new MessageWriter()

/** So many names of one text are looked at: what is sent ahead has its place in the reply queue. */
const MOST_NAMES = 5

/** EXECUTE and DEALLOCATE in SQL of statements that the client has prepared by the protocol, under names of its own. */
export class SqlStatements {
  readonly #host: ClientHost
  readonly #session: StatementOwner
  readonly #book: StatementBook
  #deallocating: { readonly name: string; readonly statement: PreparedStatement } | null = null

  constructor(host: ClientHost, session: StatementOwner, book: StatementBook) {
    this.#host = host
    this.#session = session
    this.#book = book
  }

  /** What DEALLOCATE was sent for and is not answered. */
  get deallocating(): { readonly name: string; readonly statement: PreparedStatement } | null {
    return this.#deallocating
  }

  /** As another process had it. */
  restore(name: string, statement: PreparedStatement): void {
    this.#deallocating = { name, statement }
  }

  /** What executing the statement does that EXECUTE names; null: nothing, or it is none of the protocol's. */
  effectsOf(source: NativeBuffer, facts: StatementFacts): Effects | null {
    return this.#statementIn(source, facts)?.effects ?? null
  }

  #statementIn(source: NativeBuffer, { nameStart, nameStop }: StatementFacts): PreparedStatement | undefined {
    return this.#book.get(identifier(source.bytes.toString('utf8', nameStart, nameStop)))
  }

  /**
   * EXECUTE or DEALLOCATE, in a query of its own, of a statement that was prepared by the protocol: sent with the name that
   * it has on the server. False when it names none of those, or is a PREPARE, which the server is made to refuse then.
   */
  rename(source: NativeBuffer, at: number, stop: number, end: number, facts: StatementFacts): boolean {
    const server = this.#session.server as ServerConnection
    // Reading another text changes them.
    const { flags, nameStart, nameStop } = facts
    // Of those, a Sync would end the transaction.
    const isAmongOthers = server.queue.unfinished
    const name = identifier(source.bytes.toString('utf8', nameStart, nameStop))
    const statement = this.#book.get(name)
    if (statement !== undefined && (flags & FACT.prepares) !== 0) {
      this.refuseTaken(name)
      if (!isAmongOthers) endAhead(this.#host, server)
      return false
    }
    const before = server.queue.length
    if (statement === undefined) closeStray(this.#book, server, name)
    else {
      ensureStatement(this.#book, server, statement)
      if ((flags & FACT.executes) !== 0 && prepares(statement.effects)) this.refusePrepared(statement.tail)
    }
    if (server.queue.length > before && !isAmongOthers) endAhead(this.#host, server)
    if (statement === undefined) return false
    if ((flags & FACT.deallocates) !== 0) {
      server.statements.delete(statement)
      this.#deallocating = { name, statement }
    }
    const length = stop - at - 1 + statement.serverName.length - (nameStop - nameStart)
    writer
      .reset()
      .byte(FRONTEND.query)
      .int32(length)
      .raw(source.bytes.subarray(at + HEADER_BYTES, nameStart))
    this.#host.toServer.insert(writer.raw(Buffer.from(statement.serverName)).bytes)
    this.#host.toServer.forward(source, nameStop, Math.min(stop, end))
    return true
  }

  /** A PREPARE of `name` is about to be bound: if the protocol has taken that name, the server is made to refuse it (42P05). */
  refuseTaken(name: string): void {
    const server = this.#session.server as ServerConnection
    if (this.#book.get(name) === undefined) closeStray(this.#book, server, name)
    else takeName(this.#book, server, name)
  }

  /** The same of the name in this text of a PREPARE, up to a NUL. */
  refusePrepared(text: Buffer): void {
    const { facts } = this.#host
    facts.read(text, 0, text.indexOf(0))
    this.refuseTaken(identifier(text.toString('utf8', facts.nameStart, facts.nameStop)))
  }

  /** The same of each PREPARE among several statements, whose `names` are those of the text's facts. */
  refuseAmong({ bytes }: NativeBuffer, names: readonly number[]): void {
    const server = this.#session.server as ServerConnection
    const used = new Set<string>()
    const before = server.queue.length
    for (let at = 0; at < names.length && used.size < MOST_NAMES; at += 3) {
      const name = identifier(bytes.toString('utf8', names[at + 1], names[at + 2]))
      if (names[at] === FACT.prepares && !used.has(name)) this.refuseTaken(name)
      used.add(name)
    }
    if (server.queue.length > before) endAhead(this.#host, server)
  }

  /** Everything sent has been answered. */
  settle(): void {
    if (this.#deallocating !== null) {
      this.#book.delete(this.#deallocating.name)
      this.#host.statements.drop(this.#deallocating.statement)
    }
    this.#deallocating = null
  }

  /** An error was answered. */
  failed(): void {
    if (this.#deallocating !== null) this.#session.server?.statements.add(this.#deallocating.statement)
    this.#deallocating = null
  }
}

/** Executing what has these effects is a PREPARE. */
export function prepares(effects: Effects | null | undefined): boolean {
  return effects != null && (effects.flags & FACT.prepares) !== 0
}

/** Should a Parse fail, the query that follows must not be skipped with it. */
function endAhead({ toServer }: ClientHost, server: ServerConnection): void {
  toServer.insert(SYNC)
  server.queue.push(REPLY.sync | SWALLOW)
}

/** The name that is written like this: unquoted ones are lower case. */
export function identifier(text: string): string {
  return text.startsWith('"') ? text.slice(1, -1).replaceAll('""', '"') : text.toLowerCase()
}
