import { STATUS } from '../protocol/message-type.ts'
import { writeCommandComplete, writeReady } from '../protocol/messages.ts'
import { MessageWriter } from '../protocol/writer.ts'
import { readTransactionText, type TransactionTag, type TransactionText } from '../sql/transaction-text.ts'
import type { ClientHost } from './client-host.ts'
import type { ServerSeat } from './server-seat.ts'
import type { SessionDeadlines } from './session-deadlines.ts'
import type { SessionState } from './session-state.ts'

/**
 * A transaction that the client has begun and no server knew of at that time.
 *
 * - not sent: the client has the answer to its BEGIN; no server connection is held.
 * - sent: a server connection has got it, ahead of the client's first statement.
 */
export interface DeferredBegin {
  /** What the client has sent: BEGIN, with the SET TRANSACTION statements behind it. */
  readonly sql: string
  /** PostgreSQL will refuse to write in it. */
  readonly isReadOnly: boolean
  readonly isSerializable: boolean
  isSent: boolean
  /** A query has been sent: from here on PostgreSQL lets nobody make a READ ONLY transaction READ WRITE. */
  hasSnapshot: boolean
}

/** Nothing has been written in this transaction: PostgreSQL does not let it become READ WRITE behind its first query. */
export function isReadOnly(begin: DeferredBegin | null): boolean {
  return begin?.isReadOnly === true && begin.hasSnapshot
}

/** The session that begins. */
export interface BeginningSession {
  readonly host: ClientHost
  readonly seat: ServerSeat
  readonly settings: SessionState
  readonly deadlines: SessionDeadlines
  send(bytes: Uint8Array): void
  /** A transaction is open, or over, although no server has been asked. */
  noteStatus(): void
}

/** A longer text that only begins a transaction has a longer story in it. */
const LONGEST_TEXT = 512
const ASCII = /^[\0-\x7f]*$/
const LOWER_CASE = 0x20
const [B, S, T] = [0x62, 0x73, 0x74]
const READ_ONLY_SETTING = 'default_transaction_read_only'
const ISOLATION_SETTING = 'default_transaction_isolation'
const writer = new MessageWriter()

/** What a text of which no server need know yet does. */
export interface DeferredText {
  /** Of its statements, in their order. */
  readonly tags: readonly TransactionTag[]
  /** The transaction that is open then; null: none is. */
  readonly begin: DeferredBegin | null
}

/**
 * Answers the query `bytes[start, end)` of a session that has no server connection, if it does nothing but begin, describe or
 * end a transaction of which no server need know yet. False: it is for a server.
 */
export function answersHere(session: BeginningSession, bytes: Buffer, start: number, end: number): boolean {
  const text = deferrable(session, bytes, start, end)
  if (text === null) return false
  session.settings.transaction.deferredBegin = text.begin
  writer.reset()
  for (const tag of text.tags) writeCommandComplete(writer, tag)
  writeReady(writer, text.begin === null ? STATUS.idle : STATUS.inTransaction)
  session.send(writer.bytes)
  noteAnswered(session)
  return true
}

/** What the text `bytes[start, end)` of such a session does, if no server need know of it yet; null: it is for a server. */
export function deferrable(session: BeginningSession, bytes: Buffer, start: number, end: number): DeferredText | null {
  const { settings } = session
  const open = settings.transaction.deferredBegin
  if (end - start > LONGEST_TEXT) return null
  // The usual case, in which the text need not be read.
  if (open === null && !(mayBegin(bytes, start) && mayBeWorthIt(session))) return null
  const text = readTransactionText(bytes, start, end)
  if (text === null || settings.transaction.isLost || settings.pins !== 0 || settings.luggage !== null) return null
  if (text.kind === 'ends') return open === null ? null : { tags: text.tags, begin: null }
  if ((text.kind === 'begins') !== (open === null)) return null
  const sql = bytes.toString('latin1', start, end)
  if (!ASCII.test(sql)) return null
  const begin = deferred(text, sql, open, settings)
  // What was put off once is put off until its first statement.
  return open === null && !isWorthIt(begin, session) ? null : { tags: text.tags, begin }
}

/** Its client has got the answer. */
export function noteAnswered(session: BeginningSession): void {
  if (session.settings.transaction.deferredBegin === null) session.deadlines.idle()
  else session.deadlines.inTransaction()
  session.noteStatus()
}

/** BEGIN or START; everything else is seen from its first two letters. */
function mayBegin(bytes: Buffer, at: number): boolean {
  const first = (bytes[at] as number) | LOWER_CASE
  return first === B || (first === S && ((bytes[at + 1] as number) | LOWER_CASE) === T)
}

function deferred(
  text: TransactionText,
  sql: string,
  open: DeferredBegin | null,
  settings: SessionState,
): DeferredBegin {
  const values = settings.parameters?.values
  const isReadOnly = open?.isReadOnly ?? values?.get(READ_ONLY_SETTING) === 'on'
  const isSerializable = open?.isSerializable ?? values?.get(ISOLATION_SETTING) === 'serializable'
  return {
    // It may end in a comment.
    sql: open === null ? sql : `${open.sql}\n;${sql}`,
    isReadOnly: text.access === null ? isReadOnly : text.access === 'read only',
    isSerializable: text.isolation === null ? isSerializable : text.isolation === 'serializable',
    isSent: false,
    hasSnapshot: false,
  }
}

/** False: no BEGIN is put off, whatever it says. */
function mayBeWorthIt({ host, seat }: BeginningSession): boolean {
  const { defersBegin, readOnlyTransactions } = host.values.policy.routing
  return defersBegin || (readOnlyTransactions === 'replicas' && seat.reads.mayLeavePrimary)
}

function isWorthIt(begin: DeferredBegin, { host, seat }: BeginningSession): boolean {
  const { defersBegin, readOnlyTransactions } = host.values.policy.routing
  if (defersBegin) return true
  return readOnlyTransactions === 'replicas' && begin.isReadOnly && !begin.isSerializable && seat.reads.mayLeavePrimary
}
