import { retryVerdict } from '../continuity/retry-rules.ts'
import { STATUS } from '../protocol/message-type.ts'
import type { ServerLoss } from '../server/reply-sink.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import type { SecondOpinion } from '../sql/second-opinion.ts'
import type { ClientReader } from './client-reader.ts'
import type { Greeting } from './greeting.ts'
import { onlyReads } from './lost-requests.ts'
import type { RequestRelay } from './request-relay.ts'
import type { SessionState } from './session-state.ts'

/** The session whose server connection was lost. */
export interface LosingSession {
  readonly greeting: Greeting | null
  readonly settings: SessionState
  readonly requests: RequestRelay
  readonly reader: ClientReader
}

/**
 * Puts what the client has asked of a lost server connection back where it came from, if the rules allow that; the session
 * then goes on as if it had just come. False: it has to be told.
 */
export function runAgain(
  session: LosingSession,
  server: ServerConnection,
  loss: ServerLoss,
  opinion: SecondOpinion | null,
): boolean {
  const { greeting, settings, requests, reader } = session
  if (loss.promised === 0 && !loss.unfinished) return false
  const sent = server.sent.whole
  const work = {
    sqlstate: loss.fields?.sqlstate ?? null,
    isTied: greeting !== null || settings.tiesTo(server) !== 0,
    inTransaction: server.status !== STATUS.idle || settings.transactionLost,
    isMidMessage: loss.midMessage || requests.midMessage,
    isDelivered: server.relay.isDelivered,
    isCancelled: server.isCancelled,
    isRecorded: sent !== null,
    runs: requests.runs,
  }
  const verdict = retryVerdict(work, () => {
    return sent !== null && onlyReadsOf(session, sent, opinion)
  })
  if (!verdict.again || sent === null || !reader.unread(sent)) return false
  requests.runs++
  return true
}

/**
 * Whether all that the session has asked of its server connection, and that may still run there, certainly does nothing but
 * read, outside of a transaction: nothing is lost when it is cancelled.
 */
export function isOnlyReading(
  session: Pick<LosingSession, 'greeting' | 'settings' | 'requests'>,
  server: ServerConnection,
  opinion: SecondOpinion | null,
): boolean {
  const { greeting, settings } = session
  if (greeting !== null || server.status !== STATUS.idle || settings.transactionLost) return false
  const sent = server.sent.whole
  return sent !== null && onlyReadsOf(session, sent, opinion)
}

function onlyReadsOf(
  { requests }: Pick<LosingSession, 'requests'>,
  sent: Buffer,
  opinion: SecondOpinion | null,
): boolean {
  if (opinion === null) return false
  const tailOf = (name: string): Buffer | null => requests.statements?.book.tailOf(name) ?? null
  return onlyReads(sent, (bytes, start, end) => opinion.of(bytes, start, end), tailOf)
}
