import type { NativeBuffer } from '../io/native.ts'
import { BACKEND, FRONTEND, HEADER_BYTES, lengthAt, textEnd } from '../protocol/message-type.ts'
import { PARSE_COMPLETE, writeCommandComplete } from '../protocol/messages.ts'
import { MessageWriter } from '../protocol/writer.ts'
import { type DeferredText, deferrable, noteAnswered } from './deferred-begin.ts'
import type { RequestPassage } from './request-passage.ts'

const writer = new MessageWriter()
const STATEMENT = 0x53
const PORTAL = 0x50
const BIND_COMPLETE = Buffer.from([BACKEND.bindComplete, 0, 0, 0, 4])
const NO_DATA = Buffer.from([BACKEND.noData, 0, 0, 0, 4])

/** The messages from the first one to the Execute of a text that no server need know of yet. */
interface Walk {
  readonly bytes: Buffer
  /** Of the prepared statement, in UTF-8. */
  readonly name: Buffer
  readonly end: number
  at: number
  isBound: boolean
}

/**
 * Answers the extended query that begins at `at`, with its Parse or with the Bind of a statement that was prepared before, as
 * `answersHere` does a simple one: up to its Execute, whatever follows. The session has no server connection. Returns where what
 * follows begins; `at`: it is for a server; −1: more of it has to be there first, for which nobody is owed an answer yet.
 */
export function answersExtended(relay: RequestPassage, source: NativeBuffer, at: number, end: number): number {
  const { bytes } = source
  const isParse = bytes[at] === FRONTEND.parse
  const nameAt = isParse ? at + HEADER_BYTES : textEnd(bytes, at + HEADER_BYTES, end) + 1
  const nameEnd = textEnd(bytes, nameAt, end)
  if (nameAt === 0 || nameEnd < 0) return at
  const text = isParse ? textOfParse(relay, bytes, at, nameEnd, end) : textOfPrepared(relay, bytes, nameAt, nameEnd)
  if (text === null || relay.statements?.mustWait === true) return at
  const walk = { bytes, name: bytes.subarray(nameAt, nameEnd), end, at, isBound: false }
  writer.reset()
  const stop = walkThrough(walk)
  if (stop <= at) return stop
  if (isParse) keep(relay, bytes, at, nameEnd)
  writeCommandComplete(writer, text.tags[0] as string)
  const { session } = relay
  session.settings.transaction.deferredBegin = text.begin
  session.send(writer.bytes)
  noteAnswered(session)
  return stop
}

function textOfParse(
  relay: RequestPassage,
  bytes: Buffer,
  at: number,
  nameEnd: number,
  end: number,
): DeferredText | null {
  const stop = at + 1 + lengthAt(bytes, at + 1)
  const sqlEnd = stop > end ? -1 : textEnd(bytes, nameEnd + 1, stop)
  // Of parameters nothing but their number may follow: none.
  if (sqlEnd < 0 || stop !== sqlEnd + 3 || bytes.readInt16BE(sqlEnd + 1) !== 0) return null
  const isTaken = nameEnd > at + HEADER_BYTES && relay.book?.get(bytes.toString('utf8', at + HEADER_BYTES, nameEnd))
  return isTaken ? null : oneStatement(relay, bytes, nameEnd + 1, sqlEnd)
}

function textOfPrepared(relay: RequestPassage, bytes: Buffer, nameAt: number, nameEnd: number): DeferredText | null {
  const tail = relay.book?.tailOf(bytes.toString('utf8', nameAt, nameEnd)) ?? null
  return tail === null ? null : oneStatement(relay, tail, 0, tail.indexOf(0))
}

function oneStatement({ session }: RequestPassage, bytes: Buffer, start: number, end: number): DeferredText | null {
  const text = deferrable(session, bytes, start, end)
  return text?.tags.length === 1 ? text : null
}

/** Writes the answers; returns as `answersExtended` does. */
function walkThrough(walk: Walk): number {
  const first = walk.at
  for (;;) {
    const { bytes, at, end } = walk
    if (at + HEADER_BYTES > end) return -1
    const stop = at + 1 + lengthAt(bytes, at + 1)
    if (stop > end) return isOfSuch(bytes[at] as number) ? -1 : first
    if (bytes[at] === FRONTEND.execute)
      return walk.isBound && bytes[at + HEADER_BYTES] === 0 && !usesPortal(walk, stop) ? stop : first
    if (!answersOne(walk, stop)) return first
    walk.at = stop
  }
}

/** What follows at `at` may be about the portal, of which no server would know. */
function usesPortal({ bytes, end }: Walk, at: number): boolean {
  return at < end && (bytes[at] === FRONTEND.execute || bytes[at] === FRONTEND.describe)
}

function isOfSuch(type: number): boolean {
  return type === FRONTEND.bind || type === FRONTEND.describe || type === FRONTEND.execute
}

/** One message before the Execute; false: it is none that was expected. */
function answersOne(walk: Walk, stop: number): boolean {
  const { bytes, at, name, isBound } = walk
  switch (bytes[at]) {
    case FRONTEND.parse:
      writer.raw(PARSE_COMPLETE)
      // The first message, or another statement.
      return !isBound && writer.length === PARSE_COMPLETE.length
    case FRONTEND.bind:
      walk.isBound = true
      writer.raw(BIND_COMPLETE)
      return !isBound && bindsPlainly(bytes, at + HEADER_BYTES, name, stop)
    case FRONTEND.describe: {
      const named = bytes.subarray(at + HEADER_BYTES + 1, stop - 1)
      if (bytes[at + HEADER_BYTES] === PORTAL) {
        writer.raw(NO_DATA)
        return isBound && named.length === 0
      }
      writer.begin(BACKEND.parameterDescription).int16(0).end().raw(NO_DATA)
      return bytes[at + HEADER_BYTES] === STATEMENT && named.equals(name)
    }
    default:
      return false
  }
}

/** The unnamed portal, of that statement, without parameters. */
function bindsPlainly(bytes: Buffer, at: number, name: Buffer, stop: number): boolean {
  const counts = at + 1 + name.length + 1
  if (bytes[at] !== 0 || counts + 4 > stop || bytes[counts - 1] !== 0) return false
  return bytes.subarray(at + 1, counts - 1).equals(name) && bytes.readInt32BE(counts) === 0
}

/** The client has the statement from now on, although no server does. */
function keep(relay: RequestPassage, bytes: Buffer, at: number, nameEnd: number): void {
  const { book } = relay.needStatements()
  const tail = bytes.subarray(nameEnd + 1, at + 1 + lengthAt(bytes, at + 1))
  const { facts } = relay.host
  facts.read(tail, 0, tail.indexOf(0))
  if (nameEnd === at + HEADER_BYTES) book.keepUnnamed(tail, facts.keep())
  else book.learn(bytes.toString('utf8', at + HEADER_BYTES, nameEnd), tail, facts)
}
