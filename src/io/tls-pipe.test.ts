import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import koffi from 'koffi'
import { CertificateAuthority } from '../../test/support/certificates.ts'
import { RouterError } from '../errors.ts'
import { NativeBuffer } from './native.ts'
import { openssl, takeErrors } from './openssl.ts'
import { TlsChannel } from './tls-channel.ts'
import { TlsContext } from './tls-context.ts'
import { INBOUND_LIMIT } from './tls-pipe.ts'
import { readAll, TlsTestPair, writeText } from './tls-test-pair.ts'

const authority = new CertificateAuthority('Example CA')
const stranger = new CertificateAuthority('Stranger CA')
const credentials = authority.issue({ commonName: 'db.example.com', names: ['db.example.com'] })
const own = { certificatePem: credentials.certificate, keyPem: credentials.key }

function connect(): TlsTestPair {
  const pair = new TlsTestPair(own, {})
  assert.deepEqual(pair.handshake(), { server: 'done', client: 'done' })
  return pair
}

/** Leaves an error in this thread's queue, as any other user of OpenSSL might. */
function leaveError(): void {
  const bio = openssl.BIO_new(openssl.BIO_s_mem())
  openssl.PEM_read_bio_X509(bio, 0, 0, 0)
  openssl.BIO_free(bio)
  assert.notEqual(openssl.ERR_peek_error(), 0)
}

test('channels that leave bytes unread and unsent do not get in each other’s way', () => {
  const pairs = Array.from({ length: 5 }, connect)
  const half = NativeBuffer.allocate(64 * 1024)
  for (const [index, pair] of pairs.entries()) {
    writeText(pair.client, `to server ${index} `)
    writeText(pair.server, `to client ${index} `)
  }
  for (const pair of pairs) {
    // A part of the ciphertext moves and is not read; the rest stays where it is.
    for (const [from, to] of [
      [pair.client, pair.server],
      [pair.server, pair.client],
    ] as const) {
      const bytes = from.drain(half, 0, 20)
      assert.equal(bytes, 20)
      to.feed(half, 0, bytes)
    }
  }
  for (const [index, pair] of pairs.entries()) {
    writeText(pair.client, `again ${index}`)
    assert.equal(readAll(pair.server), '')
    assert.ok(pair.client.pendingCiphertext() > 0)
  }
  for (const [index, pair] of pairs.entries()) {
    pair.carry(pair.client, pair.server)
    pair.carry(pair.server, pair.client)
    assert.equal(readAll(pair.server), `to server ${index} again ${index}`)
    assert.equal(readAll(pair.client), `to client ${index} `)
    assert.equal(pair.client.pendingCiphertext(), 0)
  }
  for (const pair of pairs) pair.free()
})

test('a channel freed with bytes in the pipe leaves none of them to the next one', () => {
  const doomed = connect()
  const wire = NativeBuffer.allocate(1000)
  writeText(doomed.client, 'unread')
  doomed.server.feed(wire, 0, doomed.client.drain(wire, 0, wire.size))
  writeText(doomed.server, 'unsent')
  doomed.server.free()
  const pair = connect()
  writeText(pair.client, 'clean')
  pair.carry(pair.client, pair.server)
  assert.equal(readAll(pair.server), 'clean')
  assert.equal(pair.server.pendingCiphertext(), 0)
  pair.free()
  doomed.free()
})

test('ciphertext that nobody reads is taken only up to the limit, and again after it was read', () => {
  const pair = connect()
  const plain = NativeBuffer.allocate(64 * 1024)
  const wire = NativeBuffer.allocate(256 * 1024)
  for (let round = 0; round < 3; round++) pair.client.write(plain, 0, plain.size)
  const bytes = pair.client.drain(wire, 0, wire.size)
  const taken = pair.server.feed(wire, 0, bytes)
  assert.equal(taken, INBOUND_LIMIT)
  assert.equal(pair.server.feed(wire, taken, bytes), 0)
  let plaintext = readAll(pair.server).length
  assert.equal(pair.server.feed(wire, taken, bytes), bytes - taken)
  plaintext += readAll(pair.server).length
  assert.equal(plaintext, 3 * plain.size)
  pair.free()
})

test('an error that somebody else left in the queue is not taken for this connection’s', () => {
  const pair = new TlsTestPair(own, {})
  leaveError()
  assert.equal(pair.server.handshake(), 'want-read')
  assert.deepEqual(pair.handshake(), { server: 'done', client: 'done' })
  const wire = NativeBuffer.allocate(100)
  writeText(pair.client, 'in two parts')
  const bytes = pair.client.drain(wire, 0, wire.size)
  pair.server.feed(wire, 0, bytes - 1)
  leaveError()
  assert.equal(pair.server.read(NativeBuffer.allocate(50), 0, 50), 0)
  assert.equal(pair.server.failure, null)
  pair.server.feed(wire, bytes - 1, bytes)
  assert.equal(readAll(pair.server), 'in two parts')
  pair.server.shutdown()
  leaveError()
  assert.throws(
    () => writeText(pair.server, 'late'),
    (error) => error instanceof RouterError && error.message === 'TLS with the client failed: protocol is shutdown.',
  )
  pair.free()
})

test('after free every call throws, and free does nothing more', () => {
  const { server: channel, client } = connect()
  const buffer = NativeBuffer.allocate(10)
  channel.free()
  channel.free()
  assert.equal(channel.state, 'freed')
  const calls = [
    () => channel.handshake(),
    () => channel.feed(buffer, 0, 10),
    () => channel.feedEnd(),
    () => channel.read(buffer, 0, 10),
    () => channel.write(buffer, 0, 10),
    () => channel.drain(buffer, 0, 10),
    () => channel.pendingCiphertext(),
    () => channel.shutdown(),
    () => channel.version,
    () => channel.cipher,
    () => channel.verified,
    () => channel.alpnSelected,
    () => channel.peerCertificate(),
  ]
  for (const call of calls) assert.throws(call, /was freed/, call.toString())
  client.free()
})

test('a range outside of its buffer throws before OpenSSL sees the address', () => {
  const pair = connect()
  const buffer = NativeBuffer.allocate(10)
  for (const [start, end] of [
    [0, 11],
    [-1, 5],
    [6, 5],
    [0, Number.NaN],
  ] as const) {
    assert.throws(() => pair.server.feed(buffer, start, end), RangeError)
    assert.throws(() => pair.server.write(buffer, start, end), RangeError)
    assert.throws(() => pair.server.read(buffer, start, end - start), RangeError)
    assert.throws(() => pair.server.drain(buffer, start, end - start), RangeError)
  }
  pair.free()
})

test('reading and writing before the handshake is done is the caller’s mistake', () => {
  const pair = new TlsTestPair(own, {})
  const buffer = NativeBuffer.allocate(10)
  assert.throws(() => pair.client.read(buffer, 0, 10), /cannot read before its handshake/)
  assert.throws(() => pair.client.write(buffer, 0, 10), /cannot write before its handshake/)
  pair.client.shutdown()
  assert.equal(pair.client.pendingCiphertext(), 0)
  assert.deepEqual(takeErrors(), [])
  pair.free()
})

test('two thousand connections, good and refused, give all their memory back', () => {
  const server = TlsContext.forServer({
    ...own,
    caPem: null,
    verify: 'none',
    minVersion: 'TLSv1.2',
    alpn: ['postgresql'],
  })
  const contexts = [authority, stranger].map(({ certificate }) =>
    TlsContext.forClient({ caPem: certificate, certificatePem: null, keyPem: null, verify: 'full' }),
  )
  const wire = NativeBuffer.allocate(64 * 1024)
  const once = (good: boolean): void => {
    const peers = [
      new TlsChannel(contexts[good ? 0 : 1]!, { serverName: 'db.example.com', alpn: ['postgresql'] }),
      new TlsChannel(server),
    ] as const
    for (let step = 0; step < 6; step++) {
      const [from, to] = step % 2 === 0 ? peers : [peers[1], peers[0]]
      from.handshake()
      to.feed(wire, 0, from.drain(wire, 0, wire.size))
    }
    assert.equal(peers[0].failure === null, good)
    assert.equal(peers[0].peerCertificate() !== null, good)
    assert.equal(peers[0].alpnSelected, 'postgresql')
    for (const peer of peers) peer.free()
  }
  let round = 0
  assertNoGrowth(2000, 500, () => once(round++ % 4 > 0))
  for (const context of [server, ...contexts]) context.free()
})

test('contexts, good and refused, give all their memory back', () => {
  const chain = credentials.certificate + authority.certificate
  const options = { ...own, certificatePem: chain, caPem: authority.certificate, minVersion: 'TLSv1.2' } as const
  const foreignKey = stranger.issue({ commonName: 'db.example.com' }).key
  const client = TlsContext.forClient({ caPem: chain, certificatePem: null, keyPem: null, verify: 'full' })
  const once = (): void => {
    assert.throws(() => new TlsChannel(client), /needs the name of the server/)
    TlsContext.forServer({ ...options, verify: 'require', alpn: ['postgresql'] }).free()
    assert.throws(() => TlsContext.forServer({ ...options, verify: 'none', alpn: [], keyPem: foreignKey }))
  }
  assertNoGrowth(300, 500, once)
  client.free()
})

test('looking at a certificate again and again takes no memory', () => {
  // As long as a common name may be, to stand out from what has not been collected yet.
  const long = authority.issue({ commonName: 'n'.repeat(64) })
  const pair = new TlsTestPair({ certificatePem: long.certificate, keyPem: long.key }, {})
  pair.handshake()
  assertNoGrowth(20_000, 60, () => assert.equal(pair.client.peerCertificate()?.commonName?.length, 64))
  pair.free()
})

/** `once` keeps less than `bytes` bytes per call: what is lost is lost each time, what V8's compiler has for a moment is not. */
function assertNoGrowth(rounds: number, bytes: number, once: () => void): void {
  const heap = heapMeter()
  for (let round = 0; round < 100; round++) once()
  const kept: number[] = []
  while (kept.length < 4 && kept.every((each) => each >= bytes)) {
    const before = heap()
    for (let round = 0; round < rounds; round++) once()
    kept.push((heap() - before) / rounds)
  }
  assert.ok(Math.min(...kept) < bytes, `${kept} bytes per call were not given back`)
}

test('a connection that is idle after traffic holds no more than after its handshake', () => {
  const pairs = Array.from({ length: 40 }, connect)
  const buffer = NativeBuffer.allocate(60_000)
  const exchange = (pair: TlsTestPair): void => {
    for (const [from, to] of [
      [pair.client, pair.server],
      [pair.server, pair.client],
    ] as const) {
      from.write(buffer, 0, buffer.size)
      pair.carry(from, to)
      assert.equal(to.read(buffer, 0, buffer.size), buffer.size)
      assert.equal(to.read(buffer, 0, buffer.size), 0)
    }
  }
  const heap = heapMeter()
  // What is made once for all is made by the first.
  exchange(pairs[0]!)
  const before = heap()
  for (const pair of pairs) exchange(pair)
  const grown = (heap() - before) / pairs.length
  assert.ok(grown < 2000, `${grown} bytes per connection`)
  for (const pair of pairs) pair.free()
})

/** Bytes that are allocated with malloc and in use, after a collection: JavaScript's buffers are among them. */
function heapMeter(): () => number {
  const names = [
    'arena',
    'ordblks',
    'smblks',
    'hblks',
    'hblkhd',
    'usmblks',
    'fsmblks',
    'uordblks',
    'fordblks',
    'keepcost',
  ]
  const type = koffi.struct(Object.fromEntries(names.map((name) => [name, 'size_t'])))
  const mallinfo2 = koffi.load(null).func('mallinfo2', type, []) as unknown as () => {
    uordblks: number
    hblkhd: number
  }
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  return () => {
    // The second waits for what the first left to be swept in the background.
    collect()
    collect()
    const { uordblks, hblkhd } = mallinfo2()
    return uordblks + hblkhd
  }
}
