import { NativeBuffer } from '../io/native.ts'
import { receive, send, shutdownWrite } from '../io/socket.ts'
import { TlsRecordLayer } from '../io/tls-record-layer.ts'
import type { TlsSession } from '../io/tls-session.ts'
import { writeError } from '../protocol/messages.ts'
import { MessageWriter } from '../protocol/writer.ts'
import type { KeptConnection } from './kept-connection.ts'

/** What a client may have sent in vain: bytes that nobody reads would make the kernel discard our last words. */
const MOST_UNREAD_READS = 16

/**
 * Tells a client that nobody can go on with why its connection ends, after what was on its way to it. `outbound`: scratch. False
 * when it did not take it all.
 */
export function sayLastWords(client: KeptConnection, outbound: NativeBuffer): boolean {
  const bytes = Buffer.concat([client.unsent(), lastWords(client.tls)])
  if (bytes.length > outbound.size) return false
  outbound.bytes.set(bytes)
  if (send(client.fd, outbound, 0, bytes.length) !== bytes.length) return false
  shutdownWrite(client.fd)
  for (let reads = 0; reads < MOST_UNREAD_READS; reads++) {
    if (receive(client.fd, outbound, 0, outbound.size) <= 0) break
  }
  return true
}

/** As they leave. */
function lastWords(tls: TlsSession | null): Buffer {
  const { bytes } = LAST_WORDS
  if (tls === null) return bytes
  const source = NativeBuffer.allocate(bytes.length)
  source.bytes.set(bytes)
  const records = new TlsRecordLayer(tls, 'server')
  records.write(source, 0, bytes.length)
  const sealed = NativeBuffer.allocate(records.pendingCiphertext())
  records.drain(sealed, 0, sealed.size)
  return sealed.bytes
}

const LAST_WORDS = new MessageWriter()
writeError(LAST_WORDS, {
  severity: 'FATAL',
  sqlstate: '57P01',
  message: 'terminating connection due to administrator command',
  hint: 'In a moment you should be able to reconnect to the database and repeat your command.',
})
