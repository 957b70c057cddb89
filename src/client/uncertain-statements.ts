import type { NativeBuffer } from '../io/native.ts'
import { HEADER_BYTES } from '../protocol/message-type.ts'
import { FACT } from '../sql/statement-effects.ts'
import type { StatementFacts } from '../sql/statement-facts.ts'
import type { StatementBook, StatementOwner } from './statement-book.ts'

const STATEMENT = 0x53
/** What names one of the client's statements. */
export const NAMES: number = FACT.executes | FACT.deallocates | FACT.prepares
/** What drops all of them. */
export const CLEARS: number = FACT.deallocatesAll | FACT.discardsAll

/** Whose statements are named. */
interface NamingRelay {
  readonly session: Pick<StatementOwner, 'server'>
  readonly book: StatementBook
}

/**
 * Whether what names the statement in `source[start, end)` must wait for answers: what that name means, or whether the
 * server connection has it, depends on a message in a part of the pipeline that is not answered yet.
 */
export function isUncertain({ session, book }: NamingRelay, source: NativeBuffer, start: number, end: number): boolean {
  const { server } = session
  // Mostly everything up to the last Sync has been answered, and no name has to be read.
  if (server === null || server.queue.outstanding === 0) return false
  return book.isUncertain(server, source.bytes.toString('utf8', start, end))
}

/** The same of a Describe or Close at `at`. */
export function isTargetUncertain(
  relay: NamingRelay,
  source: NativeBuffer,
  at: number,
  stop: number,
  end: number,
): boolean {
  const nameAt = at + HEADER_BYTES + 1
  const isStatement = nameAt < stop && stop <= end && source.bytes[nameAt - 1] === STATEMENT
  return isStatement && isUncertain(relay, source, nameAt, stop - 1)
}

/**
 * The same of what has these facts when it is executed: it names statements in SQL, or drops them. Whatever comes before it in the
 * pipeline may do so too, and whether it has is known when it is answered.
 */
export function isSqlUncertain(
  { session: { server } }: NamingRelay,
  { flags }: Pick<StatementFacts, 'flags'>,
): boolean {
  return server !== null && (flags & (NAMES | CLEARS)) !== 0 && server.queue.outstanding > 0
}
