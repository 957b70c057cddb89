import type { NativeBuffer } from '../io/native.ts'
import { FRONTEND, HEADER_BYTES } from '../protocol/message-type.ts'
import { MessageWriter } from '../protocol/writer.ts'
import { REPLY } from '../server/reply-queue.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import type { PreparedStatement } from '../session/prepared-statements.ts'
import { NOTHING, UNNAMED } from './statement-journal.ts'
import type { StatementRelay } from './statement-relay.ts'
import { closeStray, ensureStatement, prepareUnnamed } from './statement-supply.ts'

const writer = new MessageWriter()
/** What a Describe or Close says of a statement; of a portal it says `P`. */
const STATEMENT = 0x53

/** Sends the Describe at `source[at, stop)`, with our name of the statement; false: it is malformed, and the client closed. */
export function describeNamed(relay: StatementRelay, source: NativeBuffer, at: number, stop: number): boolean {
  const { bytes } = source
  const nameAt = at + HEADER_BYTES + 1
  if (stop <= nameAt || bytes[stop - 1] !== 0) return malformed(relay, 'Describe')
  const statement = bytes[at + HEADER_BYTES] === STATEMENT ? prepare(relay, source, nameAt, stop - 1) : null
  if (statement === null) relay.host.toServer.forward(source, at, stop)
  else {
    writer.reset().begin(FRONTEND.describe).byte(STATEMENT).text(statement.serverName).end()
    relay.host.toServer.insert(writer.bytes)
  }
  relay.session.server?.queue.push(REPLY.describe)
  return true
}

/** Closes what the Close at `source[at, stop)` names, here or on the server; false: it is malformed, and the client closed. */
export function closeNamed(relay: StatementRelay, source: NativeBuffer, at: number, stop: number): boolean {
  const { bytes } = source
  const { book } = relay
  const nameAt = at + HEADER_BYTES + 1
  if (stop <= nameAt || bytes[stop - 1] !== 0) return malformed(relay, 'Close')
  const isStatement = bytes[at + HEADER_BYTES] === STATEMENT
  const name = bytes.toString('utf8', nameAt, stop - 1)
  const statement = isStatement ? book.get(name) : undefined
  if (statement !== undefined) {
    closeStray(book, relay.session.server as ServerConnection, name)
    book.close(name, statement)
    return true
  }
  const isUnnamed = isStatement && name === ''
  if (isUnnamed) book.closeUnnamed()
  book.note(REPLY.close, isUnnamed ? UNNAMED : NOTHING)
  relay.host.toServer.forward(source, at, stop)
  return true
}

/** Makes sure that the server has the statement named here; null: send the message with the name it has. */
function prepare(
  { session, book }: StatementRelay,
  source: NativeBuffer,
  nameStart: number,
  nameEnd: number,
): PreparedStatement | null {
  const server = session.server as ServerConnection
  if (nameStart === nameEnd) {
    prepareUnnamed(book, server)
    return null
  }
  const name = source.bytes.toString('utf8', nameStart, nameEnd)
  const statement = book.get(name)
  if (statement === undefined) closeStray(book, server, name)
  else ensureStatement(book, server, statement)
  return statement ?? null
}

function malformed({ session }: StatementRelay, what: string): boolean {
  session.violate(`malformed ${what} message`)
  return false
}
