import { FRONTEND, HEADER_BYTES, lengthAt } from '../protocol/message-type.ts'
import { INTENT } from '../sql/statement-intent.ts'
import type { TreeFacts } from '../sql/tree-facts.ts'

/** What PostgreSQL's parser says of the text `bytes[start, end)`; null: nothing. */
export type Opinion = (bytes: Buffer, start: number, end: number) => TreeFacts | null

/** Text, NUL and types of a prepared statement of the session; null: it has none of this name, or not its text. */
export type StatementTail = (name: string) => Buffer | null

/** Messages that carry no statement and change nothing that outlives them. */
const NEUTRAL: ReadonlySet<number> = new Set([
  FRONTEND.describe,
  FRONTEND.execute,
  FRONTEND.close,
  FRONTEND.sync,
  FRONTEND.flush,
])

/**
 * Whether whole messages of a client, from a point at which it had no transaction, do nothing but read. False also for what
 * cannot be told: functions that nobody knows, statements that are not kept.
 */
export function onlyReads(messages: Buffer, opinion: Opinion, tailOf: StatementTail): boolean {
  /** Of statements that these messages themselves prepare. */
  const parsed = new Set<string>()
  let at = 0
  while (at + HEADER_BYTES <= messages.length) {
    const type = messages[at] as number
    const stop = at + 1 + lengthAt(messages, at + 1)
    if (stop > messages.length) return false
    if (!isRead(type, at + HEADER_BYTES, stop)) return false
    at = stop
  }
  return at === messages.length && at > 0

  function isRead(type: number, start: number, stop: number): boolean {
    if (NEUTRAL.has(type)) return true
    if (type === FRONTEND.query) return reads(opinion(messages, start, stop - 1))
    const nameEnd = messages.indexOf(0, start)
    if (type === FRONTEND.parse) {
      parsed.add(messages.toString('latin1', start, nameEnd))
      return reads(opinion(messages, nameEnd + 1, messages.indexOf(0, nameEnd + 1)))
    }
    if (type !== FRONTEND.bind) return false
    const name = messages.toString('latin1', nameEnd + 1, messages.indexOf(0, nameEnd + 1))
    if (parsed.has(name)) return true
    const tail = tailOf(name)
    return tail !== null && reads(opinion(tail, 0, tail.indexOf(0)))
  }
}

/** The words of a COMMIT that is nothing else. */
const COMMIT = /^\s*(?:commit|end)(?:\s+(?:work|transaction))?\s*;?\s*$/i
const LONGEST_COMMIT = 64

/** Whether whole messages of a client are one COMMIT, with or without the Sync behind it. */
export function isLoneCommit(messages: Buffer, tailOf: StatementTail): boolean {
  let commits = 0
  let unnamed: Buffer | null = tailOf('')
  for (let at = 0; at < messages.length; ) {
    if (at + HEADER_BYTES > messages.length) return false
    const type = messages[at] as number
    const start = at + HEADER_BYTES
    const stop = at + 1 + lengthAt(messages, at + 1)
    if (stop > messages.length) return false
    at = stop
    if (type === FRONTEND.sync && at < messages.length) return false
    if (type === FRONTEND.query) commits += isCommit(messages, start, stop - 1) ? 1 : 2
    else if (type === FRONTEND.parse) {
      if (messages[start] !== 0) return false
      unnamed = messages.subarray(start + 1, stop)
    } else if (type === FRONTEND.bind) {
      const nameStart = messages.indexOf(0, start) + 1
      const name = messages.toString('latin1', nameStart, messages.indexOf(0, nameStart))
      const tail = name === '' ? unnamed : tailOf(name)
      commits += tail !== null && isCommit(tail, 0, tail.indexOf(0)) ? 1 : 2
    } else if (!NEUTRAL.has(type)) return false
  }
  return commits === 1
}

function isCommit(bytes: Buffer, start: number, end: number): boolean {
  return end - start <= LONGEST_COMMIT && COMMIT.test(bytes.toString('latin1', start, end))
}

function reads(facts: TreeFacts | null): boolean {
  return facts !== null && facts.intent === INTENT.read && facts.pins === 0 && facts.calls.length === 0
}
