import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Region } from '../memory/region.ts'
import { TLS_RECORD_BYTES } from '../memory/tls-records.ts'
import { nativeBytes, pattern } from './link-host.fixture.ts'
import { LINK_END, LINK_FAILED } from './link-read.ts'
import { PlainSends } from './plain-sends.ts'
import { READ_BYTES } from './read-buffers.ts'
import { connect, openTls, received, shakeHands } from './tls-bench.fixture.ts'
import { TLS_CLOSED } from './tls-channel.ts'
import { TlsSession } from './tls-session.ts'

test('text passes both ways, and the slot counts what went through the socket', (t) => {
  const bench = connect(t)
  const { host, owner, client } = bench
  const before = [owner.bytesRead, owner.bytesWritten]
  assert.ok(
    before.every((bytes) => bytes > 200),
    'the handshake counts',
  )
  client.send(Buffer.from('question'))
  host.turn()
  assert.equal(owner.text, 'question')
  owner.link.send(Buffer.from('answer'))
  client.step()
  assert.equal(received(bench).toString(), 'answer')
  // 22 bytes around each record of TLS 1.3.
  assert.deepEqual([owner.bytesRead, owner.bytesWritten], [(before[0] ?? 0) + 30, (before[1] ?? 0) + 28])
})

test('a megabyte for a peer that does not read waits sealed, and leaves in order when it does', (t) => {
  const bench = connect(t, 16 * 1024 * 1024)
  const { host, owner, client } = bench
  const source = pattern(1000 * 1000)
  const before = owner.bytesWritten
  for (let at = 0; at < source.size; at += 50_000) {
    assert.equal(owner.link.write(source, at, at + 50_000), true)
    // The kernel would take some again, but nothing may overtake what waits.
    if (at === 500_000) client.step(60_000)
  }
  assert.equal(owner.link.blocked, true)
  assert.equal(host.arena.buffersInUse, 1)
  const onItsWay = owner.link.waitingBytes + owner.bytesWritten
  host.turnUntil(() => {
    client.step(30_000)
    return received(bench).length === source.size
  })
  assert.ok(received(bench).equals(source.bytes))
  host.turn()
  assert.deepEqual([owner.link.blocked, host.arena.bytesInUse, owner.bytesWritten], [false, 0, onItsWay])
  assert.ok(owner.bytesWritten - before > source.size)
  assert.equal(owner.told.filter((one) => one === 'drained').length, 1)
})

test('an arena without room makes the write fail with the reason', (t) => {
  const { host, owner } = connect(t, 400 * 1024)
  const source = pattern(65_536)
  while (owner.link.write(source, 0, source.size));
  assert.equal(owner.link.failure, 'no buffer left for a peer that does not read')
  owner.link.close()
  assert.equal(host.arena.buffersInUse, 0)
})

test('a record longer than a read is read in parts, without an event for the rest', (t) => {
  const { host, owner, client } = connect(t)
  const source = pattern(READ_BYTES + 40_000)
  client.send(source.bytes)
  host.turn()
  assert.ok(Buffer.concat(owner.received).equals(source.bytes))
  assert.ok(owner.received.every(({ length }) => length <= READ_BYTES))
})

test('a paused link is told of nothing, and reads without an event once it goes on', (t) => {
  const { host, owner, client } = connect(t)
  owner.link.pauseReading()
  client.send(Buffer.from('early'))
  assert.equal(host.turn(), 0)
  owner.link.resumeReading()
  // Not at once: somebody may be walking the bytes of another link in the buffer that all share.
  assert.deepEqual(owner.told, [])
  host.deferred.run()
  assert.equal(owner.text, 'early')
})

test('a farewell is a close_notify, and the end of our direction alone', (t) => {
  const bench = connect(t)
  const { host, owner, client } = bench
  owner.link.send(Buffer.from('bye'))
  owner.link.hangUp()
  client.step()
  assert.equal(received(bench).toString(), 'bye')
  assert.equal(client.ended, TLS_CLOSED)
  client.send(Buffer.from('answer'))
  host.turn()
  assert.equal(owner.text, 'answer')
})

test('a hang-up cuts off nothing that waits: close_notify comes after it', (t) => {
  const bench = connect(t)
  const { host, owner, client } = bench
  const source = pattern(600_000)
  owner.link.write(source, 0, source.size)
  assert.ok(owner.link.blocked)
  owner.link.hangUp()
  host.turnUntil(() => {
    client.step()
    return client.ended === TLS_CLOSED
  })
  assert.deepEqual(Buffer.concat(client.received), source.bytes)
})

test("nothing overtakes what is held back, where records stay OpenSSL's", (t) => {
  const bench = openTls(t, undefined, new PlainSends())
  shakeHands(bench)
  const { host, owner, client, server } = bench
  const record = nativeBytes(Buffer.alloc(100))
  server.write(nativeBytes('held back'), 0, 9)
  owner.link.holdBack(record, 0, server.drain(record, 0, 100), true)
  owner.link.farewell()
  host.sends.settle()
  client.step()
  assert.deepEqual([received(bench).toString(), client.ended], ['held back', TLS_CLOSED])
})

for (const ending of ['hangUp', 'farewell and close'] as const) {
  test(`${ending}: what is held back, sealed by records of our own, leaves first, then close_notify, then the end`, (t) => {
    const bench = openTls(t, undefined, new PlainSends())
    shakeHands(bench)
    const { host, owner, client } = bench
    const region = new Region(new ArrayBuffer(TLS_RECORD_BYTES), 0, TLS_RECORD_BYTES, 1)
    owner.link.stream.carryOn(new TlsSession(region, 0, host.arena))
    owner.link.send(Buffer.from('last '))
    owner.link.send(Buffer.from('words'))
    if (ending === 'hangUp') owner.link.hangUp()
    else {
      owner.link.farewell()
      owner.link.close()
    }
    client.step()
    assert.deepEqual(client.received, [], 'nothing leaves before the step is committed')
    host.turnUntil(() => {
      client.step()
      return client.ended === TLS_CLOSED
    })
    assert.equal(received(bench).toString(), 'last words')
    assert.equal(client.raw.receive(), null)
  })
}

test('a farewell to a peer that does not read is left out, because nothing may overtake what waits', (t) => {
  const bench = connect(t)
  const { owner } = bench
  const source = pattern(600_000)
  owner.link.write(source, 0, source.size)
  const waiting = owner.link.waitingBytes
  owner.link.farewell()
  assert.equal(owner.link.waitingBytes, waiting)
})

test('the end is read after the last bytes, with a close_notify and without', (t) => {
  for (const polite of [true, false]) {
    const { host, owner, client } = connect(t)
    client.send(Buffer.from('bye'))
    if (polite) client.channel.shutdown()
    client.flush()
    client.raw.end()
    host.turn()
    host.turn()
    assert.deepEqual([owner.text, owner.ending], ['bye', LINK_END])
  }
})

test('garbage in place of a record is a failure with its reason, and the peer gets an alert', (t) => {
  const bench = connect(t)
  const { host, owner, client } = bench
  client.raw.send(Buffer.from('17030300050102030405', 'hex'))
  host.turn()
  assert.equal(owner.ending, LINK_FAILED)
  assert.match(owner.link.failure, /record/i)
  client.step()
  assert.equal(client.channel.state, 'failed')
  assert.equal(owner.link.write(nativeBytes('x'), 0, 1), false)
})

test('closing frees the channel and what waits', (t) => {
  const { host, owner, server } = connect(t)
  owner.link.write(pattern(600_000), 0, 600_000)
  owner.link.close()
  assert.equal(server.state, 'freed')
  assert.deepEqual([host.arena.buffersInUse, owner.link.secure], [0, false])
})
