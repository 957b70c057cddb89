import type { ErrorFields } from '../protocol/messages.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import { type Effects, endsTransaction, FACT } from '../sql/statement-effects.ts'
import { ERROR } from './client-host.ts'
import type { ClientMeter } from './client-meter.ts'
import type { FunctionCatalogues } from './function-catalogues.ts'
import type { RequestRelay } from './request-relay.ts'
import type { ServerSeat } from './server-seat.ts'
import type { SessionState } from './session-state.ts'

const CONCERNS_CHANNELS = FACT.listens | FACT.unlistens
/** In the name of everything that takes a lock for others to see. */
const ADVISORY = /advisory/i

/**
 * Whether a statement may run in a READ ONLY transaction that has begun on a replica. PostgreSQL itself refuses there what
 * writes, as it would on the primary; what is left are things that mean something else on another server, or would stay
 * in the session. `text`: of the statement, null when it is too long to be seen whole.
 */
export function mayRunOnReplica(
  effects: Effects,
  text: Buffer | null,
  server: ServerConnection,
  catalogues: FunctionCatalogues,
  now: number,
): boolean {
  const { pins, flags, calls } = effects
  if (text === null || (flags & CONCERNS_CHANNELS) !== 0) return false
  // What comes behind the end would run on the replica too.
  if (endsTransaction(effects) && (flags & FACT.several) !== 0) return false
  if (catalogues.isWatching && leavesUnseen(text, server, catalogues, now)) return false
  if (pins !== 0 && (calls === null || !catalogues.onlyRead(calls, server.target, now))) return false
  return !ADVISORY.test(text.toString('latin1'))
}

/** What the text uses may leave something behind, without a call of it. */
function leavesUnseen(
  text: Buffer,
  { target }: ServerConnection,
  catalogues: FunctionCatalogues,
  now: number,
): boolean {
  const end = text.indexOf(0)
  return catalogues.mayLeave(target, now, text, 0, end < 0 ? text.length : end)
}

/** The session whose transaction runs on a replica. */
export interface LeavingSession {
  readonly seat: ServerSeat
  readonly settings: SessionState
  readonly requests: RequestRelay
  readonly meter: ClientMeter
  goOn(): void
}

/** A class of error that whoever runs transactions repeats them for. */
const CANNOT: ErrorFields = ERROR(
  '40001',
  'this READ ONLY transaction runs on a replica, where its next statement cannot be run',
  'run it again: it runs on the primary for now; or set routing.read_only_transactions',
)

/**
 * Gives up its transaction on a replica: a failed one from now on, whose next message gets the error. The next transactions run
 * on the primary. Nothing may be owed to its client.
 */
export function leaveReplica(session: LeavingSession): void {
  const { seat, settings, requests, meter } = session
  seat.reads.stayOnPrimary()
  seat.reads.transactionEnds()
  seat.giveUp(false)
  requests.statements?.book.abandon()
  settings.loseServer(true)
  meter.error()
  meter.abandoned()
  requests.reject(CANNOT)
  session.goOn()
}
