import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Region } from '../memory/region.ts'
import { TLS_RECORD_BYTES } from '../memory/tls-records.ts'
import { nativeBytes } from './link-host.fixture.ts'
import { NativeBuffer } from './native.ts'
import { CONTENT } from './record-cipher.ts'
import { TLS_CLOSED, TLS_FAILED } from './tls-channel.ts'
import {
  arena,
  carry,
  commit,
  connect,
  credentials,
  give,
  SUITES,
  send,
  succeed,
  take,
  target,
} from './tls-ends.fixture.ts'
import { TlsRecordLayer } from './tls-record-layer.ts'
import { cipherOf } from './tls-sealer.ts'
import { TlsSession } from './tls-session.ts'
import { TlsTestPair } from './tls-test-pair.ts'

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
