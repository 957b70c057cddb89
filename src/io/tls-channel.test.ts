import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CertificateAuthority } from '../../test/support/certificates.ts'
import { NativeBuffer } from './native.ts'
import { takeErrors } from './openssl.ts'
import { TLS_CLOSED, TLS_FAILED, type TlsChannel } from './tls-channel.ts'
import { INBOUND_LIMIT } from './tls-pipe.ts'
import { readAll, TlsTestPair, writeText } from './tls-test-pair.ts'

const authority = new CertificateAuthority('Example CA')
const credentials = authority.issue({ commonName: 'db.example.com', names: ['db.example.com'] })
const own = { certificatePem: credentials.certificate, keyPem: credentials.key }
const versions = ['TLSv1.2', 'TLSv1.3'] as const

/** Two channels after their handshake. */
function connect(version: 'TLSv1.2' | 'TLSv1.3' = 'TLSv1.3'): TlsTestPair {
  const pair = new TlsTestPair(own, {}, { version })
  assert.deepEqual(pair.handshake(), { server: 'done', client: 'done' })
  return pair
}

for (const version of versions) {
  test(`${version}: both sides agree on version, cipher and certificate, and text passes both ways`, () => {
    const pair = connect(version)
    assert.equal(pair.server.version, version)
    assert.equal(pair.client.cipher, pair.server.cipher)
    assert.match(pair.server.cipher, /GCM|CHACHA20/)
    assert.equal(pair.client.peerCertificate()?.subject, 'CN=db.example.com')
    assert.equal(pair.server.peerCertificate(), null)
    writeText(pair.client, 'question')
    pair.carry(pair.client, pair.server)
    assert.equal(readAll(pair.server), 'question')
    writeText(pair.server, 'answer')
    pair.carry(pair.server, pair.client)
    assert.equal(readAll(pair.client), 'answer')
    pair.free()
  })

  test(`${version}: handshake and data arrive whole when the bytes come one by one`, () => {
    const pair = new TlsTestPair(
      own,
      { verify: 'full', caPem: authority.certificate },
      { serverName: 'db.example.com', version },
    )
    const wire = NativeBuffer.allocate(64 * 1024)
    const trickle = (from: TlsChannel, to: TlsChannel, step: () => void): void => {
      const bytes = from.drain(wire, 0, wire.size)
      for (let at = 0; at < bytes; at++) {
        assert.equal(to.feed(wire, at, at + 1), 1)
        step()
      }
    }
    for (let round = 0; round < 4; round++) {
      pair.client.handshake()
      trickle(pair.client, pair.server, () => pair.server.handshake())
      trickle(pair.server, pair.client, () => pair.client.handshake())
    }
    assert.deepEqual([pair.client.state, pair.server.state], ['open', 'open'])
    let received = ''
    for (const text of ['first', 'second']) writeText(pair.client, text)
    trickle(pair.client, pair.server, () => {
      received += readAll(pair.server)
    })
    assert.equal(received, 'firstsecond')
    pair.free()
  })

  test(`${version}: two records arrive whole wherever their bytes are split`, () => {
    const pair = connect(version)
    const wire = NativeBuffer.allocate(1000)
    for (let split = 0; ; split++) {
      writeText(pair.server, 'one')
      writeText(pair.server, 'two')
      const bytes = pair.server.drain(wire, 0, wire.size)
      if (split > bytes) break
      pair.client.feed(wire, 0, split)
      const before = readAll(pair.client)
      pair.client.feed(wire, split, bytes)
      assert.equal(before + readAll(pair.client), 'onetwo', `split at ${split}`)
    }
    pair.free()
  })

  test(`${version}: a megabyte passes both ways at once through small reads and drains`, () => {
    const pair = connect(version)
    const piece = NativeBuffer.allocate(50_000)
    const small = NativeBuffer.allocate(7_777)
    const got = { server: 0, client: 0 }
    const take = (side: 'server' | 'client'): void => {
      for (let bytes = 1; bytes > 0; ) {
        bytes = pair[side].read(small, 0, small.size)
        for (let at = 0; at < bytes; at++) {
          if (small.bytes[at] !== (got[side] + at) % 251) assert.fail(`${side} byte ${got[side] + at}`)
        }
        got[side] += bytes
      }
    }
    for (let sent = 0; sent < 1_000_000; sent += piece.size) {
      for (let at = 0; at < piece.size; at++) piece.bytes[at] = (sent + at) % 251
      pair.client.write(piece, 0, piece.size)
      pair.server.write(piece, 0, piece.size)
      pair.carry(pair.client, pair.server, 1_234)
      pair.carry(pair.server, pair.client, 4_321)
      take('server')
      take('client')
    }
    assert.deepEqual(got, { server: 1_000_000, client: 1_000_000 })
    pair.free()
  })

  test(`${version}: a close_notify ends reading, and the other direction goes on`, () => {
    const pair = connect(version)
    const target = NativeBuffer.allocate(100)
    writeText(pair.client, 'last')
    pair.client.shutdown()
    const said = pair.client.pendingCiphertext()
    pair.client.shutdown()
    assert.equal(pair.client.pendingCiphertext(), said, 'it is said once')
    pair.carry(pair.client, pair.server)
    assert.equal(pair.server.read(target, 0, 100), 4)
    assert.equal(pair.server.read(target, 0, 100), TLS_CLOSED)
    pair.server.feedEnd()
    assert.equal(pair.server.read(target, 0, 100), TLS_CLOSED)
    assert.equal(pair.server.failure, null)
    writeText(pair.server, 'reply')
    pair.carry(pair.server, pair.client)
    assert.equal(readAll(pair.client), 'reply')
    pair.free()
  })
}

test('writing after the end was said is refused', () => {
  const pair = connect()
  pair.client.shutdown()
  assert.throws(() => writeText(pair.client, 'late'), /protocol is shutdown/)
  pair.free()
})

test('what arrives after a close_notify is dropped', () => {
  const pair = connect()
  pair.client.shutdown()
  pair.carry(pair.client, pair.server)
  assert.equal(readAll(pair.server), '')
  const flood = NativeBuffer.allocate(2 * INBOUND_LIMIT)
  assert.equal(pair.server.feed(flood, 0, flood.size), flood.size)
  assert.equal(pair.server.read(flood, 0, flood.size), TLS_CLOSED)
  pair.free()
})

test('the end of the input without a close_notify is a failure, after what arrived has been read', () => {
  const pair = connect()
  const target = NativeBuffer.allocate(100)
  writeText(pair.client, 'cut')
  pair.carry(pair.client, pair.server)
  pair.server.feedEnd()
  assert.equal(pair.server.read(target, 0, 100), 3)
  assert.equal(pair.server.read(target, 0, 100), TLS_FAILED)
  assert.match(pair.server.failure ?? '', /^The client closed the connection without saying so/)
  pair.free()
})

test('the end of the input in the middle of a record is a failure', () => {
  const pair = connect()
  const wire = NativeBuffer.allocate(1000)
  writeText(pair.server, 'never whole')
  const bytes = pair.server.drain(wire, 0, wire.size)
  pair.client.feed(wire, 0, bytes - 1)
  pair.client.feedEnd()
  assert.equal(pair.client.read(wire, 0, 100), TLS_FAILED)
  assert.match(pair.client.failure ?? '', /^The server closed/)
  pair.free()
})

test('the end of the input during the handshake is a failure', () => {
  const pair = new TlsTestPair(own, {})
  pair.server.feedEnd()
  assert.equal(pair.server.handshake(), 'failed')
  assert.equal(pair.server.failure, 'The client closed the connection during the TLS handshake.')
  pair.free()
})

test('what the peer sends with the end of its handshake can be read at once', () => {
  const pair = new TlsTestPair(own, {})
  pair.client.handshake()
  pair.carry(pair.client, pair.server)
  pair.server.handshake()
  pair.carry(pair.server, pair.client)
  assert.equal(pair.client.handshake(), 'done')
  writeText(pair.client, 'early')
  pair.carry(pair.client, pair.server)
  assert.equal(pair.server.handshake(), 'done')
  assert.equal(readAll(pair.server), 'early')
  pair.free()
})

const garbage: readonly (readonly [string, string, RegExp])[] = [
  ['an HTTP request', 'GET / HTTP/1.1\r\n\r\n', /http request \(what arrived is HTTP\)/],
  [
    'a PostgreSQL startup packet',
    '\0\0\0\x08\x04\xd2\x16\x2f',
    /^TLS with the client failed: .*\(what arrived is not TLS\)/,
  ],
  ['a record of nonsense', '\x16\x03\x01\0\x05hello', /^TLS with the client failed: /],
]

for (const [title, bytes, failure] of garbage) {
  test(`${title} instead of a handshake fails with a sentence and leaves other channels alone`, () => {
    const bystander = connect()
    const pair = new TlsTestPair(own, {})
    const source = NativeBuffer.allocate(bytes.length)
    source.bytes.write(bytes, 'latin1')
    pair.server.feed(source, 0, bytes.length)
    assert.equal(pair.server.handshake(), 'failed')
    assert.match(pair.server.failure ?? '', failure)
    assert.equal(pair.server.handshake(), 'failed')
    assert.throws(() => writeText(pair.server, 'more'), /TLS with the client failed/)
    assert.deepEqual(takeErrors(), [])
    writeText(bystander.client, 'fine')
    bystander.carry(bystander.client, bystander.server)
    assert.equal(readAll(bystander.server), 'fine')
    bystander.free()
    pair.free()
  })
}

test('a changed byte fails the connection, and the peer is told by an alert', () => {
  const pair = connect()
  const wire = NativeBuffer.allocate(1000)
  writeText(pair.client, 'integrity')
  const bytes = pair.client.drain(wire, 0, wire.size)
  wire.bytes[bytes - 1] = (wire.bytes[bytes - 1] ?? 0) ^ 1
  pair.server.feed(wire, 0, bytes)
  assert.equal(pair.server.read(wire, 0, 100), TLS_FAILED)
  assert.match(pair.server.failure ?? '', /decryption failed or bad record mac/)
  pair.carry(pair.server, pair.client)
  assert.equal(pair.client.read(wire, 0, 100), TLS_FAILED)
  assert.equal(pair.client.failure, 'The server ended the TLS connection with the alert "bad record mac".')
  pair.free()
})
