import {
  type LostServer,
  type LostStatements,
  type LostTransaction,
  mayRunAgain,
  retryVerdict,
  sqlstateOfBackend,
} from '../continuity/retry-rules.ts'
import { STATUS } from '../protocol/message-type.ts'
import type { ClientDelivery, Echo } from '../server/client-delivery.ts'
import type { ServerLoss } from '../server/reply-sink.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import type { TierPolicy } from '../shard/policy.ts'
import type { SecondOpinion } from '../sql/second-opinion.ts'
import type { DeferredBegin } from './deferred-begin.ts'
import { answeredPart, onlyReads, onlyReadsSoFar, whyNotReplayable } from './lost-requests.ts'
import type { LosingSession } from './server-loss.ts'

/**
 * Puts what the client has asked of a lost server connection back where it came from, if the rules allow that; the session
 * then goes on as if it had just come, and the client gets what it has not got yet. False: it has to be told.
 */
export function runAgain(session: LosingSession, server: ServerConnection, loss: ServerLoss): boolean {
  const { settings, requests, reader, host } = session
  const isOpen = server.status !== STATUS.idle || settings.transaction.isLost
  // The server may not have got to the BEGIN that went ahead of the first statement.
  const inTransaction =
    isOpen || (settings.transaction.deferredBegin !== null && describeTransaction(session, server).mayReplay)
  const isAsked = loss.promised > 0 || loss.unfinished
  if (!isAsked && !inTransaction) return false
  const { whole } = server.work.sent
  const { sum } = server.relay.delivery
  const work = {
    sqlstate: sqlstateOfBackend(loss.fields),
    isTied:
      session.greeting !== null ||
      session.listening !== null ||
      settings.tiesTo(server) !== 0 ||
      settings.transaction.isLost,
    transaction: inTransaction ? describeTransaction(session, server) : null,
    isMidMessage: requests.midMessage,
    isDelivered: server.relay.answers.isDelivered || loss.midMessage,
    isSummed: sum !== null,
    isCancelled: server.work.isCancelled,
    isRecorded: whole !== null,
    runs: requests.runs.before(lostServer(server)),
  }
  const verdict = retryVerdict(work, statementsOf(session, server, whole))
  const { slot, user, database } = session
  host.log('debug', 'server connection lost', {
    client: slot,
    user,
    database,
    again: verdict.again,
    why: verdict.reason,
  })
  if (!verdict.again || whole === null || !reader.unread(whole)) {
    if (inTransaction) host.countPlane('replaysRefused')
    return false
  }
  host.countPlane(inTransaction ? 'replays' : 'readsRepeated')
  goBack(session, server, { sum, inTransaction, isAsked, whole, owed: loss.promised, isMidMessage: loss.midMessage })
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
  if (greeting !== null || server.status !== STATUS.idle || settings.transaction.isLost) return false
  return hasOnlyReads(session, server.work.sent.whole, opinion)
}

/** What a transaction needs to be run again, which its COMMIT, that is not among it, may ask for later. */
export interface RetainedTransaction {
  readonly messages: Buffer
  readonly echo: Echo
  readonly parameters: ServerConnection['work']['startedWith']
  /** Its BEGIN, if that is not among the messages. */
  readonly begin: DeferredBegin | null
}

/** What was answered of the transaction that was open on `server`; null: it cannot be run again. */
export function retain(session: LosingSession, server: ServerConnection): RetainedTransaction | null {
  const { whole, answered } = server.work.sent
  const { sum } = server.relay.delivery
  if (whole === null || sum === null || answered === 0) return null
  const { mayReplay, ageMs, mostMs } = describeTransaction(session, server)
  if (!mayReplay || ageMs > mostMs || !mayRunAgain(session.requests.runs.before(lostServer(server)), true)) return null
  const messages = Buffer.from(whole.subarray(0, answered))
  if (statementsOf(session, server, messages).whyNotReplayable() !== null) return null
  const echo = { ...sum, answered, isMidMessage: false, of: 'commit' } as const
  return { messages, echo, parameters: server.work.startedWith, begin: session.settings.transaction.deferredBegin }
}

/** Nothing that was sent to `server` since no transaction was open does anything but read. False also where that is not known. */
export function hasOnlyRead({ requests, host }: LosingSession, { work, target }: ServerConnection): boolean {
  const { opinion, catalogues, now } = host
  const { whole } = work.sent
  if (whole === null || opinion === null) return false
  const tailOf = (name: string): Buffer | null => requests.statements?.book.tailOf(name) ?? null
  return onlyReadsSoFar(
    whole,
    (bytes, start, end) => opinion.of(bytes, start, end),
    tailOf,
    (calls) => catalogues.onlyRead(calls, target, now),
  )
}

/** Something that was sent to `server` since no transaction was open may have changed data; true also where that is not known. */
export function mayHaveWritten({ requests, host }: LosingSession, { work }: ServerConnection): boolean {
  const { opinion } = host
  const { whole } = work.sent
  if (whole === null || opinion === null) return true
  const tailOf = (name: string): Buffer | null => requests.statements?.book.tailOf(name) ?? null
  return !onlyReadsSoFar(
    whole,
    (bytes, start, end) => opinion.of(bytes, start, end),
    tailOf,
    () => false,
  )
}

/** What `RunCount` has to know of it. */
export function lostServer({ target, createdAt, relay }: ServerConnection): LostServer {
  return { shard: target.shard.id, createdAt, sqlstate: relay.answers.lastWords?.sqlstate ?? null }
}

/** It comes again, ahead of what the session has still to send. False: there is no room for it. */
export function replay(session: LosingSession, { messages, echo, parameters, begin }: RetainedTransaction): boolean {
  if (!session.reader.unread(messages)) return false
  session.host.countPlane('replays')
  session.requests.runs.times++
  session.seat.reads.avoidReplicas()
  if (echo.bytes > 0) session.echo = echo
  if (parameters !== null) session.settings.values.goBackTo(parameters)
  session.settings.transaction.deferredBegin = begin === null ? null : { ...begin, isSent: false }
  return true
}

/** What goes back where it came from, and what its client has got of the answers. */
interface Return {
  readonly sum: ClientDelivery['sum']
  readonly inTransaction: boolean
  readonly isAsked: boolean
  /** All that it had asked. */
  readonly whole: Buffer
  /** ReadyForQuery that it has not got. */
  readonly owed: number
  readonly isMidMessage: boolean
}

function goBack(
  session: LosingSession,
  server: ServerConnection,
  { sum, inTransaction, isAsked, whole, owed, isMidMessage }: Return,
): void {
  // A client that asked nothing has taken no server down.
  if (isAsked || !inTransaction) session.requests.runs.count(lostServer(server), session.host.now)
  if (inTransaction && server.work.startedWith !== null) session.settings.values.goBackTo(server.work.startedWith)
  if (sum === null || sum.bytes === 0) return
  session.seat.reads.avoidReplicas()
  const { sent } = server.work
  // Those that came once more were sent in one go, and part of a pipeline may be answered.
  const answered = isAsked ? answeredPart(whole, sent.answered, owed) : sent.length
  session.echo = { ...sum, answered, isMidMessage, of: inTransaction ? 'transaction' : 'read' }
}

function describeTransaction(
  { settings, meter, host, seat }: LosingSession,
  { queue }: ServerConnection,
): LostTransaction {
  const { replay } = host.values.policy.tiers[seat.tier] as TierPolicy
  return {
    mayReplay: replay.requestBytes > 0,
    ageMs: host.now - meter.transactionAt,
    mostMs: replay.ageMs,
    isEnding: settings.transaction.ending(queue) !== 'none',
  }
}

function hasOnlyReads(
  { requests }: Pick<LosingSession, 'requests'>,
  sent: Buffer | null,
  opinion: SecondOpinion | null,
): boolean {
  if (sent === null || opinion === null) return false
  const tailOf = (name: string): Buffer | null => requests.statements?.book.tailOf(name) ?? null
  return onlyReads(sent, (bytes, start, end) => opinion.of(bytes, start, end), tailOf)
}

function statementsOf(session: LosingSession, server: ServerConnection, sent: Buffer | null): LostStatements {
  const { requests, settings, host } = session
  const { opinion, facts, catalogues, now } = host
  const tailOf = (name: string): Buffer | null => requests.statements?.book.tailOf(name) ?? null
  return {
    onlyRead: () => hasOnlyReads(session, sent, opinion),
    whyNotReplayable: () =>
      sent === null || opinion === null
        ? 'there is no parser'
        : whyNotReplayable(sent, {
            opinion: (bytes, start, end) => opinion.of(bytes, start, end),
            facts,
            hasBegun: settings.transaction.deferredBegin !== null,
            tailOf,
            areHarmless: (calls) => catalogues.areHarmless(calls, server, now),
          }),
  }
}
