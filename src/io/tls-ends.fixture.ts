import assert from 'node:assert/strict'
import { CertificateAuthority } from '../../test/support/certificates.ts'
import { Region } from '../memory/region.ts'
import { TLS_RECORD_BYTES } from '../memory/tls-records.ts'
import type { SecureChannel } from './byte-stream.ts'
import { nativeBytes, openArena } from './link-host.fixture.ts'
import { NativeBuffer } from './native.ts'
import type { TlsChannel } from './tls-channel.ts'
import type { TlsRole } from './tls-context.ts'
import { TlsRecordLayer } from './tls-record-layer.ts'
import { TlsSession } from './tls-session.ts'
import { TlsTestPair } from './tls-test-pair.ts'

const authority = new CertificateAuthority('Example CA')
const issued = authority.issue({ commonName: 'db.example.com', names: ['db.example.com'] })
/** For tests: a server certificate, with the keys of each session told. */
export const credentials = { certificatePem: issued.certificate, keyPem: issued.key, logsKeys: true }
/** Where the sessions keep what they have of a record. */
export const { arena } = openArena(1024 * 1024)
const wire = NativeBuffer.allocate(256 * 1024)
let step = 0
/** Where the last read has left its text. */
export const target = NativeBuffer.allocate(128 * 1024)

/** Version and cipher suites of all that we carry on with. */
export const SUITES = [
  ['TLSv1.3', 'TLS_AES_128_GCM_SHA256'],
  ['TLSv1.3', 'TLS_AES_256_GCM_SHA384'],
  ['TLSv1.3', 'TLS_CHACHA20_POLY1305_SHA256'],
  ['TLSv1.2', 'ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256'],
  ['TLSv1.2', 'ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384'],
  ['TLSv1.2', 'ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305'],
] as const

/** Both ends of a TLS connection whose handshake is over. */
export interface Ends {
  readonly region: Region
  /** Carried on outside of OpenSSL. */
  readonly ours: TlsRecordLayer
  readonly role: TlsRole
  readonly theirs: TlsChannel
}

/** Ours is what is left of a TlsChannel after the handshake; theirs is OpenSSL's to the end. */
export function connect(version: 'TLSv1.2' | 'TLSv1.3', cipher: string, role: TlsRole = 'server'): Ends {
  const pair = new TlsTestPair(credentials, { logsKeys: true }, { version, cipher })
  assert.deepEqual(pair.handshake(), { server: 'done', client: 'done' })
  const [channel, theirs] = role === 'server' ? [pair.server, pair.client] : [pair.client, pair.server]
  const handedOver = channel.handOver()
  assert.ok(handedOver)
  assert.equal(handedOver.early.length, 0)
  const region = new Region(new ArrayBuffer(TLS_RECORD_BYTES), 0, TLS_RECORD_BYTES, 1)
  const session = new TlsSession(region, 0, arena)
  session.begin(handedOver.traffic)
  channel.free()
  return { region, ours: new TlsRecordLayer(session, role), role, theirs }
}

/** The end of a step. */
export function commit({ region }: Ends): void {
  new TlsSession(region, 0, arena).save(++step)
  arena.settle()
}

/** A process that knows nothing but the shared memory, as it was at the last `commit`. */
export function succeed({ region, role, theirs }: Ends): Ends {
  const session = new TlsSession(region, 0, arena)
  assert.ok(session.restore(step))
  return { region, ours: new TlsRecordLayer(session, role), role, theirs }
}

/** Writes `bytes`, as plain text. */
export function send(from: SecureChannel, bytes: Buffer): void {
  const source = nativeBytes(bytes)
  for (let at = 0; at < bytes.length; at += 65_536) from.write(source, at, Math.min(bytes.length, at + 65_536))
}

/** Everything that waits, taken from one and not given to anybody. */
export function take(from: SecureChannel): Buffer {
  const parts: Buffer[] = []
  for (;;) {
    const count = from.drain(wire, 0, wire.size)
    if (count === 0) return Buffer.concat(parts)
    parts.push(Buffer.from(wire.bytes.subarray(0, count)))
  }
}

/** What `to` reads of these bytes when they come in pieces. */
export function give(to: SecureChannel, bytes: Buffer, piece = 32_768): Buffer {
  arena.settle()
  const parts: Buffer[] = []
  const source = nativeBytes(bytes)
  for (let at = 0; at < bytes.length; at += piece) {
    to.feed(source, at, Math.min(bytes.length, at + piece))
    for (;;) {
      const count = to.read(target, 0, 65_536)
      if (count <= 0) break
      parts.push(Buffer.from(target.bytes.subarray(0, count)))
    }
  }
  return Buffer.concat(parts)
}

/** Takes everything that waits at one end to the other; returns what that one reads. */
export function carry(from: SecureChannel, to: SecureChannel, piece?: number): string {
  return give(to, take(from), piece).toString('latin1')
}
