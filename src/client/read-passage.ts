import type { NativeBuffer } from '../io/native.ts'
import type { Effects } from '../sql/statement-effects.ts'
import type { ClientHost } from './client-host.ts'
import type { Asker } from './read-routing.ts'
import { mayRunOnReplica } from './replica-transaction.ts'
import type { RequestSession } from './request-session.ts'

/** Whose requests may be reads that run elsewhere than on the primary. */
interface ReadingRelay extends Asker {
  readonly host: ClientHost
  readonly session: RequestSession
}

/** A READ ONLY transaction may go on with this where it is. */
export function staysOnReplica({ session, host }: ReadingRelay, effects: Effects, text: Buffer | null): boolean {
  const { server } = session
  const { catalogues, now } = host
  return server === null || mayRunOnReplica(effects, text, server, catalogues, now)
}

/**
 * The session has, or had, its server connection for a read: what is there now may be that read, or more. False: it has to
 * wait, because nothing but reads may be sent to a replica.
 */
export function goesWithRead(relay: ReadingRelay, source: NativeBuffer, start: number, end: number): boolean {
  const session = relay.session
  const { seat, server } = session
  if (server === null) return true
  if (seat.reads.isInReplicaTransaction && !seat.isFresh) return true
  const isOwed = seat.isOwed
  if (!isOwed && isRead(relay, source, start, end)) {
    seat.reads.attempt(source.bytes, start, end)
    return true
  }
  if (!seat.reads.isOnReplica) {
    seat.reads.noteMore()
    return true
  }
  if (isOwed || server.queue.length > 0) {
    session.reader.holdBack()
    return false
  }
  session.letGo()
  return true
}

function isRead(relay: ReadingRelay, source: NativeBuffer, at: number, end: number): boolean {
  const { seat, settings } = relay.session
  const { readRouting } = relay.host
  if (!seat.reads.mayRead || !readRouting.isRead(source, at, end, relay)) return false
  if (settings.transaction.deferredBegin !== null && readRouting.isQuery)
    settings.transaction.deferredBegin.hasSnapshot = true
  return true
}

/**
 * Makes sure that the session has a server connection for what is in `source[at, end)`, a replica's where that certainly only reads;
 * false: it has to wait for one, with all its bytes.
 */
export function attach(relay: ReadingRelay, source: NativeBuffer, at: number, end: number): boolean {
  const session = relay.session
  if (session.server !== null) return true
  const reads = session.seat.reads.areRouted && isRead(relay, source, at, end)
  if (!session.acquire(reads)) return false
  if (reads) session.seat.reads.attempt(source.bytes, at, end)
  return true
}
