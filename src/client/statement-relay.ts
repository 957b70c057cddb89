import type { NativeBuffer } from '../io/native.ts'
import { FRONTEND, HEADER_BYTES, STATUS } from '../protocol/message-type.ts'
import { SYNC, writeCloseStatement, writeParse } from '../protocol/messages.ts'
import { MessageWriter } from '../protocol/writer.ts'
import { REPLY, SWALLOW, SYNTHESIZE } from '../server/reply-queue.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import { type PreparedStatement, SessionStatements } from '../session/prepared-statements.ts'
import { FACT, type StatementFacts } from '../sql/statement-facts.ts'
import type { ClientHost } from './client-host.ts'
import type { RequestSession } from './request-relay.ts'
import { type StatementChange, StatementJournal } from './statement-journal.ts'

const writer = new MessageWriter()
const STATEMENT = 0x53
/** An empty text without parameters. */
const EMPTY_TAIL = Buffer.from('\0\0\0')

const NOTHING: StatementChange = { name: '', meant: null, statement: null, wasThere: false, unnamed: false }
const UNNAMED: StatementChange = { ...NOTHING, unnamed: true }

/**
 * Prepared statements over shared server connections: clients' names become ours, by text; a server connection that
 * lacks a statement gets its Parse ahead of the first message that needs it. The unnamed statement lives where it was
 * parsed and is parsed again where it is missed.
 */
export class StatementRelay {
  readonly #host: ClientHost
  readonly #session: RequestSession
  #named: SessionStatements | null = null
  #unnamed: Buffer | null = null
  #lastUsed: PreparedStatement | null = null
  #deallocating: { readonly name: string; readonly statement: PreparedStatement } | null = null
  #journal: StatementJournal | null = null

  constructor(host: ClientHost, session: RequestSession) {
    this.#host = host
    this.#session = session
  }

  get count(): number {
    return this.#named?.size ?? 0
  }

  /** DEALLOCATE ALL or DISCARD ALL has happened, or the session is over. */
  clear(): void {
    this.#named?.clear()
    this.#unnamed = null
  }

  /** A simple query drops the unnamed statement. */
  forgetUnnamed(): void {
    this.#unnamed = null
    const { server } = this.#session
    if (server) server.unnamedOwner = 0
  }

  /**
   * Whether a Parse at `at` must wait for answers: its name is taken now, and the Parse that took it may turn out to have been
   * skipped, in a part of the pipeline that is not answered yet.
   */
  isUncertain(source: NativeBuffer, at: number, nameEnd: number): boolean {
    const { server } = this.#session
    if (server === null || this.#named === null || !isAhead(server)) return false
    return this.#named.get(source.bytes.toString('utf8', at + HEADER_BYTES, nameEnd)) !== undefined
  }

  /** Parse, Bind, Describe or Close at `at`. False when the client was found to be wrong and is closed. */
  message(type: number, source: NativeBuffer, at: number, stop: number, end: number): boolean {
    switch (type) {
      case FRONTEND.parse:
        return this.#parse(source, at, stop, end)
      case FRONTEND.bind:
        return this.#bind(source, at, stop, end)
      case FRONTEND.describe:
        return this.#describe(source, at, stop)
      default:
        return this.#close(source, at, stop)
    }
  }

  /**
   * EXECUTE or DEALLOCATE, in a query of its own, of a statement that was prepared by the protocol: sent with the name that
   * it has on the server. False when it names none of those.
   */
  query(source: NativeBuffer, at: number, stop: number, end: number, facts: StatementFacts): boolean {
    const server = this.#session.server as ServerConnection
    const { nameStart, nameStop } = facts
    const name = identifier(source.bytes.toString('utf8', nameStart, nameStop))
    const statement = this.#named?.get(name)
    if (statement === undefined) return false
    if (this.#ensure(server, statement)) {
      // Should its Parse fail, the query that follows must not be skipped with it.
      this.#host.toServer.insert(SYNC)
      server.queue.push(REPLY.sync | SWALLOW)
    }
    if ((facts.flags & FACT.deallocates) !== 0) {
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

  /** Everything sent has been answered. */
  settle(): void {
    if (this.#deallocating !== null) this.#named?.delete(this.#deallocating.name)
    this.#deallocating = null
  }

  /** An error was answered. */
  failed(sqlstate: string): void {
    this.#journal?.beginSkipping()
    if (this.#deallocating !== null) this.#session.server?.statements.add(this.#deallocating.statement)
    this.#deallocating = null
    // "cached plan must not change result type": preparing it again must help, as it would have on a direct connection.
    if (sqlstate === '0A000' && this.#lastUsed !== null) this.#host.statements.forget(this.#lastUsed)
  }

  /** A Parse or Close was answered; others are none of ours. */
  answered(entry: number): void {
    const kind = entry & 0x0f
    if (kind === REPLY.parse || kind === REPLY.close) this.#journal?.confirm()
  }

  /** An error skipped it: as if it had never been sent. */
  skipped(entry: number): void {
    const kind = entry & 0x0f
    if (kind !== REPLY.parse && kind !== REPLY.close) return
    const { server } = this.#session
    if (server !== null && this.#journal?.takeBack(this.#named, server.statements) === true) this.forgetUnnamed()
  }

  /** The server connection is gone with whatever was on its way. */
  abandon(): void {
    this.#journal?.takeAllBack(this.#named)
  }

  #parse(source: NativeBuffer, at: number, stop: number, end: number): boolean {
    const server = this.#session.server as ServerConnection
    const nameEnd = source.bytes.indexOf(0, at + HEADER_BYTES)
    if (nameEnd < 0 || nameEnd >= Math.min(stop, end)) return this.#malformed('Parse')
    if (stop > end) {
      // Too long to keep, so it cannot be parsed again elsewhere; the session is pinned by now.
      this.#host.toServer.forward(source, at, end)
      this.#note(REPLY.parse, UNNAMED)
      return true
    }
    const tail = source.bytes.subarray(nameEnd + 1, stop)
    if (nameEnd === at + HEADER_BYTES) {
      this.#unnamed = keepUnnamed(this.#unnamed, tail)
      server.unnamedOwner = this.#session.serial
      this.#note(REPLY.parse, UNNAMED)
      this.#host.toServer.forward(source, at, stop)
      return true
    }
    const name = source.bytes.toString('utf8', at + HEADER_BYTES, nameEnd)
    this.#named ??= new SessionStatements(this.#host.statements)
    const statement = this.#named.add(name, tail)
    if (statement === null) {
      this.#duplicate(server, name, tail)
      return true
    }
    const isKnown = server.statements.use(statement)
    if (isKnown && !mayHaveFailed(server)) {
      this.#note(REPLY.parse | SYNTHESIZE, { ...NOTHING, name })
      return true
    }
    writer.reset()
    if (isKnown) {
      this.#note(REPLY.close | SWALLOW, { ...NOTHING, statement, wasThere: true })
      writeCloseStatement(writer, statement.serverName)
    } else {
      this.#makeRoom(server)
      writer.reset()
      server.statements.add(statement)
    }
    this.#note(REPLY.parse, { ...NOTHING, name, statement })
    writeParse(writer, statement.serverName, tail)
    this.#host.toServer.insert(writer.bytes)
    return true
  }

  /** The server is made to say it: 42P05, at the right place among its other answers, unless the text has an error. */
  #duplicate(server: ServerConnection, name: string, tail: Buffer): void {
    writeCloseStatement(writer.reset(), name)
    writeParse(writer, name, EMPTY_TAIL)
    writeParse(writer, name, tail)
    this.#note(REPLY.close | SWALLOW, NOTHING)
    this.#note(REPLY.parse | SWALLOW, NOTHING)
    this.#note(REPLY.parse, NOTHING)
    this.#host.toServer.insert(writer.bytes)
    // The name stays behind in it, where nobody else may find it.
    server.retired = "it has a statement under a client's own name"
  }

  #bind(source: NativeBuffer, at: number, stop: number, end: number): boolean {
    const { bytes } = source
    const portalEnd = bytes.indexOf(0, at + HEADER_BYTES)
    const nameEnd = portalEnd < 0 ? -1 : bytes.indexOf(0, portalEnd + 1)
    if (nameEnd < 0 || nameEnd >= Math.min(stop, end)) return this.#malformed('Bind')
    const { toServer } = this.#host
    const statement = this.#prepare(source, portalEnd + 1, nameEnd)
    if (statement === null) toServer.forward(source, at, Math.min(stop, end))
    else {
      const portal = bytes.subarray(at + HEADER_BYTES, portalEnd + 1)
      const shift = statement.serverName.length - (nameEnd - portalEnd - 1)
      writer
        .reset()
        .byte(FRONTEND.bind)
        .int32(stop - at - 1 + shift)
        .raw(portal)
        .text(statement.serverName)
      toServer.insert(writer.bytes)
      toServer.forward(source, nameEnd + 1, Math.min(stop, end))
    }
    this.#session.server?.queue.push(REPLY.bind)
    return true
  }

  #describe(source: NativeBuffer, at: number, stop: number): boolean {
    const { bytes } = source
    const nameAt = at + HEADER_BYTES + 1
    if (stop <= nameAt || bytes[stop - 1] !== 0) return this.#malformed('Describe')
    const statement = bytes[at + HEADER_BYTES] === STATEMENT ? this.#prepare(source, nameAt, stop - 1) : null
    if (statement === null) this.#host.toServer.forward(source, at, stop)
    else {
      writer.reset().begin(FRONTEND.describe).byte(STATEMENT).text(statement.serverName).end()
      this.#host.toServer.insert(writer.bytes)
    }
    this.#session.server?.queue.push(REPLY.describe)
    return true
  }

  #close(source: NativeBuffer, at: number, stop: number): boolean {
    const { bytes } = source
    const nameAt = at + HEADER_BYTES + 1
    if (stop <= nameAt || bytes[stop - 1] !== 0) return this.#malformed('Close')
    const name = bytes.toString('utf8', nameAt, stop - 1)
    if (bytes[at + HEADER_BYTES] === STATEMENT) {
      const statement = this.#named?.get(name)
      if (statement !== undefined) {
        // It stays on the server connection, for whoever has the same text.
        this.#named?.delete(name)
        this.#note(REPLY.close | SYNTHESIZE, { ...NOTHING, name, meant: statement })
        return true
      }
      if (name === '') this.forgetUnnamed()
    }
    this.#note(REPLY.close, NOTHING)
    this.#host.toServer.forward(source, at, stop)
    return true
  }

  /** Makes sure that the server has the statement named here; null: send the message with the name it has. */
  #prepare(source: NativeBuffer, nameStart: number, nameEnd: number): PreparedStatement | null {
    const server = this.#session.server as ServerConnection
    if (nameStart === nameEnd) {
      this.#prepareUnnamed(server)
      return null
    }
    const statement = this.#named?.get(source.bytes.toString('utf8', nameStart, nameEnd))
    if (statement === undefined) return null
    this.#ensure(server, statement)
    return statement
  }

  /** Parses it on the server connection if that has not been done; true if it had to. */
  #ensure(server: ServerConnection, statement: PreparedStatement): boolean {
    this.#lastUsed = statement
    if (server.statements.use(statement)) return false
    this.#makeRoom(server)
    server.statements.add(statement)
    this.#note(REPLY.parse | SWALLOW, { ...NOTHING, statement })
    writeParse(writer.reset(), statement.serverName, statement.tail)
    this.#host.toServer.insert(writer.bytes)
    return true
  }

  /** Whoever had the server connection before may have left an unnamed statement in it, which is not ours to bind. */
  #prepareUnnamed(server: ServerConnection): void {
    const { serial } = this.#session
    if (server.unnamedOwner === serial) return
    if (this.#unnamed === null) {
      if (server.unnamedOwner === 0) return
      server.unnamedOwner = 0
      this.#note(REPLY.close | SWALLOW, NOTHING)
      writeCloseStatement(writer.reset(), '')
    } else {
      server.unnamedOwner = serial
      this.#note(REPLY.parse | SWALLOW, UNNAMED)
      writeParse(writer.reset(), '', this.#unnamed)
    }
    this.#host.toServer.insert(writer.bytes)
  }

  #makeRoom(server: ServerConnection): void {
    const evicted = server.statements.evict(this.#host.limits.preparedStatements)
    if (evicted === null) return
    this.#note(REPLY.close | SWALLOW, { ...NOTHING, statement: evicted, wasThere: true })
    writeCloseStatement(writer.reset(), evicted.serverName)
    this.#host.toServer.insert(writer.bytes)
  }

  #note(entry: number, change: StatementChange): void {
    this.#session.server?.queue.push(entry)
    this.#journal ??= new StatementJournal()
    this.#journal.note(change)
  }

  #malformed(what: string): boolean {
    this.#session.violate(`malformed ${what} message`)
    return false
  }
}

/** Its transaction has failed, or may have: in a failed one it refuses a Parse, of a statement that it knows too. */
function mayHaveFailed(server: ServerConnection): boolean {
  return server.status === STATUS.failed || isAhead(server)
}

/** A Sync or query of the client's is not answered yet. */
function isAhead({ queue }: ServerConnection): boolean {
  return queue.outstanding > ((queue.head & SWALLOW) === 0 ? 0 : 1)
}

/** Unquoted names are lower case. */
function identifier(text: string): string {
  return text.startsWith('"') ? text.slice(1, -1).replaceAll('""', '"') : text.toLowerCase()
}

/** Kept in the same buffer where it fits: most clients prepare the same few texts again and again. */
function keepUnnamed(buffer: Buffer | null, tail: Buffer): Buffer {
  if (buffer !== null && buffer.length === tail.length) {
    tail.copy(buffer)
    return buffer
  }
  return Buffer.from(tail)
}
