import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { CertificateAuthority } from '../../test/support/certificates.ts'
import { Region } from '../memory/region.ts'
import { TLS_OFFSET, TLS_PART, TLS_RECORD_BYTES } from '../memory/tls-records.ts'
import type { SecureChannel } from './byte-stream.ts'
import { nativeBytes, openArena } from './link-host.fixture.ts'
import { NativeBuffer } from './native.ts'
import { CONTENT } from './record-cipher.ts'
import { TLS_CLOSED, TLS_FAILED, type TlsChannel } from './tls-channel.ts'
import type { TlsRole } from './tls-context.ts'
import { TlsRecordLayer } from './tls-record-layer.ts'
import { cipherOf } from './tls-sealer.ts'
import { TlsSession } from './tls-session.ts'
import { TlsTestPair } from './tls-test-pair.ts'

const authority = new CertificateAuthority('Example CA')
const issued = authority.issue({ commonName: 'db.example.com', names: ['db.example.com'] })
const credentials = { certificatePem: issued.certificate, keyPem: issued.key, logsKeys: true }
const { arena } = openArena(1024 * 1024)
const wire = NativeBuffer.allocate(256 * 1024)
let step = 0
const target = NativeBuffer.allocate(128 * 1024)

const SUITES = [
  ['TLSv1.3', 'TLS_AES_128_GCM_SHA256'],
  ['TLSv1.3', 'TLS_AES_256_GCM_SHA384'],
  ['TLSv1.3', 'TLS_CHACHA20_POLY1305_SHA256'],
  ['TLSv1.2', 'ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256'],
  ['TLSv1.2', 'ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384'],
  ['TLSv1.2', 'ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305'],
] as const

interface Ends {
  readonly region: Region
  /** Carried on outside of OpenSSL. */
  readonly ours: TlsRecordLayer
  readonly role: TlsRole
  readonly theirs: TlsChannel
}

/** Ours is what is left of a TlsChannel after the handshake; theirs is OpenSSL's to the end. */
function connect(version: 'TLSv1.2' | 'TLSv1.3', cipher: string, role: TlsRole = 'server'): Ends {
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
function commit({ region }: Ends): void {
  new TlsSession(region, 0, arena).save(++step)
  arena.settle()
}

/** A process that knows nothing but the shared memory, as it was at the last `commit`. */
function succeed({ region, role, theirs }: Ends): Ends {
  const session = new TlsSession(region, 0, arena)
  assert.ok(session.restore(step))
  return { region, ours: new TlsRecordLayer(session, role), role, theirs }
}

function send(from: SecureChannel, bytes: Buffer): void {
  const source = nativeBytes(bytes)
  for (let at = 0; at < bytes.length; at += 65_536) from.write(source, at, Math.min(bytes.length, at + 65_536))
}

/** Everything that waits, taken from one and not given to anybody. */
function take(from: SecureChannel): Buffer {
  const parts: Buffer[] = []
  for (;;) {
    const count = from.drain(wire, 0, wire.size)
    if (count === 0) return Buffer.concat(parts)
    parts.push(Buffer.from(wire.bytes.subarray(0, count)))
  }
}

/** What `to` reads of these bytes when they come in pieces. */
function give(to: SecureChannel, bytes: Buffer, piece = 32_768): Buffer {
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

function carry(from: SecureChannel, to: SecureChannel, piece?: number): string {
  return give(to, take(from), piece).toString('latin1')
}

for (const [version, cipher] of SUITES) {
  for (const role of ['server', 'client'] as const) {
    test(`${version} ${cipher}: as ${role} it goes on where the handshake ended`, () => {
      const ends = connect(version, cipher, role)
      for (const text of ['first', 'second', 'x']) {
        send(ends.theirs, Buffer.from(text))
        assert.equal(carry(ends.theirs, ends.ours), text)
        send(ends.ours, Buffer.from(text.toUpperCase()))
        assert.equal(carry(ends.ours, ends.theirs), text.toUpperCase())
      }
      ends.ours.free()
      ends.theirs.free()
    })
  }

  test(`${version} ${cipher}: another process goes on with it, in the middle of a record too`, () => {
    let ends = connect(version, cipher)
    const data = randomBytes(40_000)
    send(ends.theirs, data)
    const sealed = take(ends.theirs)
    const parts: Buffer[] = []
    for (let at = 0; at < sealed.length; at += 7001) {
      parts.push(give(ends.ours, sealed.subarray(at, at + 7001)))
      commit(ends)
      ends = succeed(ends)
      send(ends.ours, Buffer.from(`until ${at}`))
      assert.equal(carry(ends.ours, ends.theirs), `until ${at}`)
      commit(ends)
      ends = succeed(ends)
    }
    assert.ok(Buffer.concat(parts).equals(data))
    ends.ours.free()
    ends.theirs.free()
  })
}

test('what came with the last flight of the handshake is not lost', () => {
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const pair = new TlsTestPair(credentials, {}, { version })
    pair.client.handshake()
    pair.carry(pair.client, pair.server)
    pair.server.handshake()
    pair.carry(pair.server, pair.client)
    pair.client.handshake()
    if (version === 'TLSv1.2') {
      pair.carry(pair.client, pair.server)
      assert.equal(pair.server.handshake(), 'done')
      pair.carry(pair.server, pair.client)
      pair.client.handshake()
    }
    send(pair.client, Buffer.from('early'))
    pair.carry(pair.client, pair.server)
    assert.equal(pair.server.handshake(), 'done')
    pair.carry(pair.server, pair.client)
    const handedOver = pair.server.handOver()
    assert.ok(handedOver)
    const region = new Region(new ArrayBuffer(TLS_RECORD_BYTES), 0, TLS_RECORD_BYTES, 1)
    const session = new TlsSession(region, 0, arena)
    session.begin(handedOver.traffic)
    const ours = new TlsRecordLayer(session, 'server')
    assert.equal(give(ours, handedOver.early).toString(), 'early')
    ours.free()
    pair.free()
  }
})

test('records arrive whole when their bytes come one by one', () => {
  const ends = connect('TLSv1.3', 'TLS_AES_256_GCM_SHA384')
  send(ends.theirs, Buffer.from('first'))
  send(ends.theirs, Buffer.from('second'))
  assert.equal(carry(ends.theirs, ends.ours, 1), 'firstsecond')
  ends.ours.free()
  ends.theirs.free()
})

test('a megabyte passes both ways', () => {
  for (const [version, cipher] of SUITES) {
    const { ours, theirs } = connect(version, cipher)
    const data = randomBytes(1_000_000)
    for (let at = 0; at < data.length; at += 65_536) {
      const part = data.subarray(at, at + 65_536)
      send(ours, part)
      assert.ok(give(theirs, take(ours)).equals(part))
      send(theirs, part)
      assert.ok(give(ours, take(theirs)).equals(part))
      arena.settle()
    }
    ours.free()
    theirs.free()
  }
})

test('no two records are sealed under one number, whoever seals them', () => {
  let ends = connect('TLSv1.2', 'ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256')
  const nonces = new Set<string>()
  for (let record = 0; record < 200; record++) {
    send(ends.ours, Buffer.from('x'))
    // Behind the header, as https://www.rfc-editor.org/rfc/rfc5288#section-3 has it.
    nonces.add(take(ends.ours).toString('hex', 5, 13))
    commit(ends)
    if (record % 3 === 0) ends = succeed(ends)
  }
  assert.equal(nonces.size, 200)
  ends.ours.free()
  ends.theirs.free()
})

test('the explicit nonces go on from that of our Finished message, which is none of them', () => {
  const pair = new TlsTestPair(credentials, {}, { version: 'TLSv1.2', cipher: 'ECDHE+AESGCM' })
  pair.client.handshake()
  pair.carry(pair.client, pair.server)
  pair.server.handshake()
  pair.carry(pair.server, pair.client)
  pair.client.handshake()
  pair.carry(pair.client, pair.server)
  pair.server.handshake()
  const flight = take(pair.server)
  const finished = flight.lastIndexOf(Buffer.from([22, 3, 3, 0, 40]))
  assert.ok(finished > 0)
  assert.deepEqual(pair.server.handOver()?.traffic.explicitNonce, flight.subarray(finished + 5, finished + 13))
  pair.free()
})

test('of a step that was not committed nothing counts: what came is opened again, what was sealed never leaves', () => {
  for (const [version, cipher] of SUITES) {
    let ends = connect(version, cipher)
    commit(ends)
    for (let round = 0; round < 4; round++) {
      send(ends.theirs, Buffer.from(`question ${round}`))
      if (version === 'TLSv1.3') ends.theirs.updateKey(true)
      send(ends.theirs, Buffer.from('?'))
      const sealed = take(ends.theirs)
      assert.equal(give(ends.ours, sealed).toString(), `question ${round}?`)
      send(ends.ours, Buffer.from('an answer that nobody sees'))
      take(ends.ours)
      ends = succeed(ends)
      assert.equal(give(ends.ours, sealed).toString(), `question ${round}?`)
      send(ends.ours, Buffer.from('the answer'))
      const answer = take(ends.ours)
      commit(ends)
      ends = succeed(ends)
      assert.equal(give(ends.theirs, answer).toString(), 'the answer')
    }
    ends.ours.free()
    ends.theirs.free()
  }
})

test('before its first step is committed there is nothing to go on with', () => {
  const ends = connect('TLSv1.3', 'TLS_AES_128_GCM_SHA256')
  new TlsSession(ends.region, 0, arena).save(7)
  assert.equal(new TlsSession(ends.region, 0, arena).restore(7), true)
  assert.equal(new TlsSession(ends.region, 0, arena).restore(6), false)
  assert.equal(new TlsSession(ends.region, 0, arena).restore(7), false, 'step 7 will be another one')
  ends.ours.free()
  ends.theirs.free()
})

for (const both of [false, true]) {
  test(`a key update of the peer is followed${both ? ' and answered' : ''}, and outlives the process`, () => {
    for (const cipher of ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384']) {
      let ends = connect('TLSv1.3', cipher)
      for (let round = 0; round < 5; round++) {
        ends.theirs.updateKey(both)
        send(ends.theirs, Buffer.from(`round ${round}`))
        assert.equal(carry(ends.theirs, ends.ours), `round ${round}`)
        assert.equal(ends.ours.pendingCiphertext() > 0, both)
        assert.equal(carry(ends.ours, ends.theirs), '')
        commit(ends)
        ends = succeed(ends)
        send(ends.ours, Buffer.from('answer'))
        assert.equal(carry(ends.ours, ends.theirs), 'answer')
      }
      ends.ours.free()
      ends.theirs.free()
    }
  })
}

test('the key is changed before it has sealed too much', () => {
  const ends = connect('TLSv1.3', 'TLS_AES_256_GCM_SHA384')
  const session = new TlsSession(ends.region, 0, arena)
  ends.region.f64[(TLS_OFFSET.live + TLS_PART.sent) >> 3] = 2 ** 24 - 1
  const first = session.secret('sent')
  send(ends.ours, Buffer.from('x'))
  assert.equal(session.next('sent'), 0)
  assert.notDeepEqual(session.secret('sent'), first)
  assert.equal(ends.region.bytes.includes(first.subarray(0, 32)), false, 'the old key is gone')
  take(ends.ours)
  ends.ours.free()
  ends.theirs.free()
})

test('a record that was changed on the way ends the connection, with an alert', () => {
  for (const [version, cipher] of SUITES) {
    const ends = connect(version, cipher)
    send(ends.theirs, Buffer.from('genuine'))
    const bytes = take(ends.theirs)
    bytes[bytes.length - 3] = (bytes[bytes.length - 3] ?? 0) ^ 1
    assert.equal(give(ends.ours, bytes).length, 0)
    assert.equal(ends.ours.read(target, 0, 65_536), TLS_FAILED)
    assert.match(ends.ours.failure ?? '', /record of the client is not what it sealed/)
    carry(ends.ours, ends.theirs)
    assert.match(ends.theirs.failure ?? '', /bad record mac/)
    assert.throws(() => send(ends.ours, Buffer.from('x')), /not what it sealed/)
    ends.ours.free()
    ends.theirs.free()
  }
})

test('a record twice, a record left out and a record that is too long end the connection', () => {
  const twice = connect('TLSv1.3', 'TLS_AES_128_GCM_SHA256')
  send(twice.theirs, Buffer.from('once'))
  const record = take(twice.theirs)
  assert.equal(give(twice.ours, Buffer.concat([record, record])).toString(), 'once')
  assert.equal(twice.ours.state, 'failed')
  take(twice.ours)

  const leftOut = connect('TLSv1.3', 'TLS_AES_128_GCM_SHA256')
  send(leftOut.theirs, Buffer.from('lost'))
  take(leftOut.theirs)
  send(leftOut.theirs, Buffer.from('next'))
  assert.equal(carry(leftOut.theirs, leftOut.ours), '')
  assert.equal(leftOut.ours.state, 'failed')
  take(leftOut.ours)

  const tooLong = connect('TLSv1.3', 'TLS_AES_128_GCM_SHA256')
  give(tooLong.ours, Buffer.from([23, 3, 3, 0xff, 0xff, 0]))
  assert.match(tooLong.ours.failure ?? '', /too long/)
  take(tooLong.ours)
  for (const { ours, theirs } of [twice, leftOut, tooLong]) {
    ours.free()
    theirs.free()
  }
})

test('close_notify is told both ways, once, and a successor knows of it', () => {
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const ends = connect(version, version === 'TLSv1.3' ? 'TLS_AES_128_GCM_SHA256' : 'ECDHE+AESGCM')
    ends.theirs.shutdown()
    carry(ends.theirs, ends.ours)
    assert.equal(ends.ours.read(target, 0, 65_536), TLS_CLOSED)
    commit(ends)
    assert.equal(succeed(ends).ours.state, 'peer-closed')
    ends.ours.shutdown()
    ends.ours.shutdown()
    carry(ends.ours, ends.theirs)
    assert.equal(ends.theirs.state, 'peer-closed')
    ends.ours.free()
    ends.theirs.free()
  }
})

test('an end without close_notify is a truncated connection', () => {
  const ends = connect('TLSv1.3', 'TLS_AES_128_GCM_SHA256')
  ends.ours.feedEnd()
  assert.equal(ends.ours.read(target, 0, 65_536), TLS_FAILED)
  assert.match(ends.ours.failure ?? '', /no close_notify/)
  ends.ours.free()
  ends.theirs.free()
})

test('whoever asks to negotiate again in TLS 1.2 is told that nobody does', () => {
  const pair = new TlsTestPair(credentials, { logsKeys: true }, { version: 'TLSv1.2', cipher: 'ECDHE+AESGCM' })
  pair.handshake()
  const sessions = [pair.server, pair.client].map((channel) => {
    const region = new Region(new ArrayBuffer(TLS_RECORD_BYTES), 0, TLS_RECORD_BYTES, 1)
    const session = new TlsSession(region, 0, arena)
    const handedOver = channel.handOver()
    assert.ok(handedOver)
    session.begin(handedOver.traffic)
    return { session, suite: handedOver.traffic.suite }
  })
  const [server, client] = sessions
  assert.ok(server && client)
  const helloRequest = nativeBytes(Buffer.from([0, 0, 0, 0]))
  const sealed = NativeBuffer.allocate(64)
  const bytes = cipherOf(server.session, server.suite, 'sent').seal(CONTENT.handshake, helloRequest, 0, 4, 1, sealed, 0)
  const ours = new TlsRecordLayer(client.session, 'client')
  assert.equal(give(ours, sealed.bytes.subarray(0, bytes)).length, 0)
  const answer = nativeBytes(take(ours))
  const theirs = cipherOf(server.session, server.suite, 'received')
  const count = theirs.open(answer, 0, answer.size, 1, target, 0)
  assert.deepEqual([theirs.content, ...target.bytes.subarray(0, count)], [CONTENT.alert, 1, 100])
  assert.equal(ours.state, 'open')
  ours.free()
  pair.free()
})

test('nothing of a session is left when it is freed', () => {
  const ends = connect('TLSv1.3', 'TLS_AES_256_GCM_SHA384')
  ends.ours.free()
  assert.ok(ends.region.bytes.every((byte) => byte === 0))
  assert.equal(new TlsSession(ends.region, 0, arena).suite, null)
  ends.theirs.free()
})
