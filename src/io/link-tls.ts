import type { DeferredWork } from './deferred.ts'
import type { Link } from './link.ts'
import type { TlsRole } from './tls-context.ts'
import type { TlsSession } from './tls-session.ts'

/**
 * After `stream.secureWith`, now and at each `onReadable` of the link's owner until it is done. `failed`: the alert for the peer is on
 * its way.
 */
export function stepHandshake(link: Link): 'done' | 'pending' | 'failed' {
  const step = link.stream.stepHandshake()
  link.watchBytes()
  return step
}

/** Another process had the link: see `ByteStream.resumeTls`. What came and was not opened is read without an event. */
export function resumeTls(deferred: DeferredWork, link: Link, session: TlsSession, role: TlsRole): void {
  link.stream.resumeTls(session, role)
  link.watchBytes()
  deferred.add(link)
}
