import type { NativeBuffer } from '../io/native.ts'
import { PIN } from '../memory/client-slots.ts'
import { HEADER_BYTES, STATUS } from '../protocol/message-type.ts'
import { writeCloseStatement, writeParse } from '../protocol/messages.ts'
import { MessageWriter } from '../protocol/writer.ts'
import { REPLY, SWALLOW, SYNTHESIZE } from '../server/reply-queue.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import type { StatementFacts } from '../sql/statement-facts.ts'
import type { ClientHost } from './client-host.ts'
import type { StatementBook, StatementOwner } from './statement-book.ts'
import { addStray, NOTHING, UNNAMED } from './statement-journal.ts'
import { closeStray, makeRoom } from './statement-supply.ts'

const writer = new MessageWriter()
/** An empty text without parameters. */
export const EMPTY_TAIL: Buffer = Buffer.from('\0\0\0')

/** Whose Parse it is. Its session has a server connection. */
export interface ParsingRelay {
  readonly host: ClientHost
  readonly session: StatementOwner
  readonly book: StatementBook
}

/**
 * Sends the Parse at `at`, whose name ends at `nameEnd`, as far as its server connection has to know of it. `tail`: its text,
 * NUL and types, with these facts. `stop`: where the client's message ends, −1 when `tail` is not from there.
 */
export function parseStatement(
  relay: ParsingRelay,
  source: NativeBuffer,
  at: number,
  nameEnd: number,
  stop: number,
  tail: Buffer,
  facts: StatementFacts,
): void {
  const { host, session, book } = relay
  const server = session.server as ServerConnection
  if (nameEnd === at + HEADER_BYTES) {
    book.keepUnnamed(tail, facts.keep())
    book.note(REPLY.parse, UNNAMED)
    if (stop >= 0) host.toServer.forward(source, at, stop)
    else {
      writeParse(writer.reset(), '', tail)
      host.toServer.insert(writer.bytes)
    }
    return
  }
  const name = source.bytes.toString('utf8', at + HEADER_BYTES, nameEnd)
  const statement = book.add(name, tail) ?? (server.relay.delivery.isEchoing ? book.again(name, tail) : null)
  if (statement === null) {
    parseDuplicate(relay, server, name, tail)
    return
  }
  book.noteFacts(statement, facts)
  if ((session.settings.pins & PIN.sqlPrepare) !== 0) {
    parseOnTrial(relay, name, tail)
    return
  }
  const isKnown = server.statements.use(statement)
  if (isKnown && !mayHaveFailed(server)) {
    book.note(REPLY.parse | SYNTHESIZE, { ...NOTHING, name })
    return
  }
  writer.reset()
  if (isKnown) {
    book.note(REPLY.close | SWALLOW, { ...NOTHING, statement, wasThere: true })
    writeCloseStatement(writer, statement.serverName)
  } else {
    makeRoom(book, server)
    writer.reset()
    server.statements.add(statement)
  }
  book.note(REPLY.parse, { ...NOTHING, name, statement })
  writeParse(writer, statement.serverName, tail)
  host.toServer.insert(writer.bytes)
}

/**
 * Whether a PREPARE has taken the name, only the server knows: it is given the client's own name, for the moment. Under ours it is
 * parsed when it is needed.
 */
function parseOnTrial({ host, session, book }: ParsingRelay, name: string, tail: Buffer): void {
  closeStray(book, session.server as ServerConnection, name)
  book.note(REPLY.parse, { ...NOTHING, name })
  book.note(REPLY.close | SWALLOW, NOTHING)
  writeParse(writer.reset(), name, tail)
  writeCloseStatement(writer, name)
  host.toServer.insert(writer.bytes)
}

/**
 * A Parse whose name is taken. The server is made to say it: 42P05, at the right place among its other answers, unless the
 * text has an error.
 */
export function parseDuplicate(
  { host, book }: ParsingRelay,
  server: ServerConnection,
  name: string,
  tail: Buffer,
): void {
  takeName(book, server, name)
  book.note(REPLY.parse, NOTHING)
  writeParse(writer.reset(), name, tail)
  host.toServer.insert(writer.bytes)
}

/** From now on the server refuses this name, until `closeStray`. Nobody sees the answers. */
export function takeName(book: StatementBook, server: ServerConnection, name: string): void {
  writer.reset()
  // Another one may have been skipped: only a Close makes sure. It is not sent in vain, for a COPY that takes data names the message in its error.
  const wasStray = server.strays?.has(name) === true
  if (wasStray) {
    writeCloseStatement(writer, name)
    book.note(REPLY.close | SWALLOW, { ...NOTHING, stray: name, wasStray })
  }
  writeParse(writer, name, EMPTY_TAIL)
  book.note(REPLY.parse | SWALLOW, { ...NOTHING, stray: name, wasStray: false })
  book.host.toServer.insert(writer.bytes)
  addStray(server, name)
}

/** Its transaction has failed, or may have: in a failed one it refuses a Parse, of a statement that it knows too. */
function mayHaveFailed(server: ServerConnection): boolean {
  return server.status === STATUS.failed || isAhead(server)
}

/** A Sync or query of the client's is not answered yet. */
function isAhead({ queue }: ServerConnection): boolean {
  return queue.outstanding > ((queue.head & SWALLOW) === 0 ? 0 : 1)
}
