import { MARK_SQL } from '../continuity/commit-outcome.ts'
import { STATUS } from '../protocol/message-type.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import type { TierPolicy } from '../shard/policy.ts'
import { type Effects, FACT } from '../sql/statement-effects.ts'
import type { ClientHost } from './client-host.ts'
import type { SeatedSession } from './seated-session.ts'
import { ROLE } from './setting-kinds.ts'

/*
 * What of ours goes to a server connection ahead of what a client asks: the session's state, its BEGIN, and the question
 * which transaction it is. All of it leaves together with the client's bytes, on `host.toServer`.
 */

/** The transaction that a COMMIT ends which was committed already. */
const BEGIN = 'BEGIN'

/** What the tier that the session has at the moment allows it. */
export function tierPolicy(host: ClientHost, { memory }: SeatedSession): TierPolicy {
  return host.values.policy.tiers[memory.tier] as TierPolicy
}

/** SQL that puts `server` into the session's state; `effects`: of what comes next, null: nothing does. */
export function statePreamble(
  host: ClientHost,
  session: SeatedSession,
  server: ServerConnection,
  effects: Effects | null,
): string {
  const { settings, listening, serial } = session
  const isSerial = tierPolicy(host, session).isSerial === true
  return settings.preamble(server, effects, serial, listening?.preamble(server) ?? '', isSerial)
}

/** Puts `server`, which the session has just got, into the session's state; `effects`: of what comes next. */
export function sendPreamble(
  host: ClientHost,
  session: SeatedSession,
  server: ServerConnection,
  effects: Effects | null,
): void {
  if (session.echo !== null) {
    // What comes first is what its client has got already.
    server.relay.delivery.expect(session.echo)
    session.echo = null
  }
  host.toServer.begin(server.link)
  // If it fails, it must not fail a transaction; nor may it be asked in a failed one.
  if (server.work.mark.isUntried && tierPolicy(host, session).resolvesCommits) {
    server.relay.questions.mark(MARK_SQL, host.toServer)
  }
  const preamble = statePreamble(host, session, server, effects)
  const begin = session.doubt?.isCommitted === true ? BEGIN : session.settings.transaction.takeBegin()
  const sql = preamble === '' || begin === '' ? preamble + begin : `${preamble};${begin}`
  if (sql !== '') server.relay.questions.prepare(sql, host.toServer)
}

/** A text with these effects is about to be sent to `server`, null: nowhere yet. SQL of ours may have to go ahead of it. */
export function sendAhead(
  host: ClientHost,
  session: SeatedSession,
  server: ServerConnection | null,
  effects: Effects,
): void {
  if (server === null) return
  const sql = session.settings.ahead(effects, server)
  if (sql !== '') server.relay.questions.prepare(sql, host.toServer)
  if ((effects.flags & FACT.commits) !== 0 && server.work.hasWritten) markTransaction(host, session, server)
}

/** A COMMIT is about to be sent: should it be lost, what the server says now tells which transaction it was of. */
function markTransaction(host: ClientHost, session: SeatedSession, server: ServerConnection): void {
  const { work, status, queue, relay } = server
  if (!work.mark.isUsable || status !== STATUS.inTransaction || queue.unfinished || queue.full) return
  const { settings, listening } = session
  // Another role may not be allowed to ask.
  const isOrdinary = settings.leavesNothing && listening === null && settings.parameters?.values.has(ROLE) !== true
  if (isOrdinary && tierPolicy(host, session).resolvesCommits) relay.questions.mark(MARK_SQL, host.toServer)
}
