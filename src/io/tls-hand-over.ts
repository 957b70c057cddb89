import type { SecureChannel } from './byte-stream.ts'
import { NativeBuffer } from './native.ts'
import { TlsChannel } from './tls-channel.ts'
import { TlsRecordLayer } from './tls-record-layer.ts'
import type { TlsSession } from './tls-session.ts'

/**
 * What goes on with the records of a connection whose handshake is done and has left; frees `channel`. Null when they stay
 * with it, because it cannot hand them over.
 */
export function recordsAfter(channel: SecureChannel, session: TlsSession): TlsRecordLayer | null {
  if (!(channel instanceof TlsChannel)) return null
  const handedOver = channel.handOver()
  if (handedOver === null) return null
  const { traffic, early } = handedOver
  session.begin(traffic)
  traffic.received.fill(0)
  traffic.sent.fill(0)
  const records = new TlsRecordLayer(session, channel.role)
  channel.free()
  if (early.length > 0) {
    const source = NativeBuffer.allocate(early.length)
    source.bytes.set(early)
    records.feed(source, 0, early.length)
  }
  return records
}
