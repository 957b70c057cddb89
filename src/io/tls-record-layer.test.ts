import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { Region } from '../memory/region.ts'
import { TLS_OFFSET, TLS_PART, TLS_RECORD_BYTES } from '../memory/tls-records.ts'
import { arena, carry, commit, connect, credentials, give, SUITES, send, succeed, take } from './tls-ends.fixture.ts'
import { TlsRecordLayer } from './tls-record-layer.ts'
import { TlsSession } from './tls-session.ts'
import { TlsTestPair } from './tls-test-pair.ts'

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

test('nothing of a session is left when it is freed', () => {
  const ends = connect('TLSv1.3', 'TLS_AES_256_GCM_SHA384')
  ends.ours.free()
  assert.ok(ends.region.bytes.every((byte) => byte === 0))
  assert.equal(new TlsSession(ends.region, 0, arena).suite, null)
  ends.theirs.free()
})
