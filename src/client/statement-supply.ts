import { writeCloseStatement, writeParseHead } from '../protocol/messages.ts'
import { MessageWriter } from '../protocol/writer.ts'
import { REPLY, SWALLOW } from '../server/reply-queue.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import type { PreparedStatement } from '../session/prepared-statements.ts'
import type { StatementBook } from './statement-book.ts'
import { NOTHING, UNNAMED } from './statement-journal.ts'

/*
 * What a server connection lacks of a session's prepared statements, put there ahead of the message that needs it, and what it
 * has of others, taken away. All of it goes to `host.toServer`; nobody but us sees the answers.
 */

const writer = new MessageWriter()

/**
 * Parses it on the server connection if that has not been done. One whose text is lost, with the process that knew it,
 * cannot be: the server says that there is no such statement.
 */
export function ensureStatement(book: StatementBook, server: ServerConnection, statement: PreparedStatement): void {
  book.lastUsed = statement
  if (server.statements.use(statement) || statement.tail.length === 0) return
  makeRoom(book, server)
  server.statements.add(statement)
  book.note(REPLY.parse | SWALLOW, { ...NOTHING, statement })
  sendParse(book, statement.serverName, statement.tail)
}

/** A refused Parse may have left a statement under a name that the client does not have. */
export function closeStray(book: StatementBook, server: ServerConnection, name: string): void {
  if (server.strays === null || !server.strays.delete(name)) return
  book.note(REPLY.close | SWALLOW, { ...NOTHING, stray: name, wasStray: true })
  sendClose(book, name)
}

/** Whoever had the server connection before may have left an unnamed statement in it, which is not ours to bind. */
export function prepareUnnamed(book: StatementBook, server: ServerConnection): void {
  const { serial } = book.session
  if (server.unnamedOwner === serial) return
  const { text } = book.unnamed
  if (text === null) {
    if (server.unnamedOwner === 0) return
    book.unnamed.begin(server.unnamedOwner)
    server.unnamedOwner = 0
    book.note(REPLY.close | SWALLOW, UNNAMED)
    sendClose(book, '')
    return
  }
  book.beginUnnamed()
  book.note(REPLY.parse | SWALLOW, UNNAMED)
  sendParse(book, '', text)
}

/** The least recently used statement makes room for another. */
export function makeRoom(book: StatementBook, server: ServerConnection): void {
  const evicted = server.statements.evict(book.host.limits.preparedStatements)
  if (evicted === null) return
  book.note(REPLY.close | SWALLOW, { ...NOTHING, statement: evicted, wasThere: true })
  sendClose(book, evicted.serverName)
}

function sendParse({ host }: StatementBook, name: string, tail: Buffer): void {
  writeParseHead(writer.reset(), name, tail.length)
  host.toServer.insert(writer.bytes)
  host.toServer.insert(tail)
}

function sendClose({ host }: StatementBook, name: string): void {
  writeCloseStatement(writer.reset(), name)
  host.toServer.insert(writer.bytes)
}
