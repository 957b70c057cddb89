import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { collect, nativeBytes, openLink, pattern, RawPeer, TestLink, TestLinkHost } from './link-host.fixture.ts'
import { acceptClient, openListener } from './listener.ts'
import { READ_BYTES } from './read-buffers.ts'
import { localAddress, startConnect } from './socket.ts'
import { parseSocketAddress } from './socket-address.ts'

test('what a peer sends is read where the plane reads, and counted in the slot', (t) => {
  const { host, owner, peer } = openLink(t)
  peer.send('hello')
  assert.equal(host.turn(), 1)
  assert.deepEqual([owner.text, owner.bytesRead], ['hello', 5])
  assert.equal(host.turn(), 0)
})

test('one read takes a read full and no more, and the rest says so again', (t) => {
  const { host, owner, peer } = openLink(t)
  peer.send(Buffer.alloc(READ_BYTES + 10))
  host.turn()
  assert.equal(owner.bytesRead, READ_BYTES)
  host.turn()
  assert.deepEqual(
    owner.received.map(({ length }) => length),
    [READ_BYTES, 10],
  )
})

test('what is left is told again: behind a read full, by an owner that does not read, by one that throws', (t) => {
  const { host, owner, peer } = openLink(t)
  peer.send(Buffer.alloc(READ_BYTES))
  host.turn()
  peer.send('x')
  host.turn()
  assert.equal(owner.bytesRead, READ_BYTES + 1)
  const { onReadable } = owner
  let asked = 0
  owner.onReadable = () => {
    if (++asked === 3) throw new Error('an owner that goes on')
  }
  peer.send('y')
  for (let n = 0; n < 4; n++) host.turn()
  assert.equal(asked, 4)
  owner.onReadable = onReadable
  host.turn()
  assert.equal(owner.bytesRead, READ_BYTES + 2)
  assert.equal(host.turn(), 0)
})

test('an end that comes together with bytes, or while they are read, is told', (t) => {
  for (const isLate of [false, true]) {
    const { host, owner, peer } = openLink(t)
    if (isLate) owner.beforeReading = () => peer.end()
    peer.send('last')
    if (!isLate) peer.end()
    for (let n = 0; n < 2; n++) host.turn()
    assert.deepEqual([owner.text, owner.ending], ['last', 0])
  }
})

test('a reader to whom so much is held back reads on in another event', (t) => {
  const { host, owner } = openLink(t)
  assert.equal(owner.link.readsOn(), true)
  assert.deepEqual([host.deferred.isEmpty, owner.told], [true, []])
  for (let at = 0; at < 3; at++) host.reads.claim()
  assert.equal(owner.link.readsOn(), false)
  host.deferred.run()
  assert.deepEqual(owner.told, ['readable'])
})

test('bytes for a peer that reads leave at once and take no buffer', (t) => {
  const { host, owner, peer } = openLink(t)
  assert.equal(owner.link.write(nativeBytes('..abc..'), 2, 5), true)
  assert.equal(peer.receive()?.toString(), 'abc')
  assert.deepEqual([owner.link.blocked, owner.bytesWritten, host.arena.buffersInUse], [false, 3, 0])
  assert.deepEqual(owner.told, [])
})

test('a megabyte for a peer that does not read waits, and leaves in order when it does', (t) => {
  const bench = openLink(t)
  const { host, owner, peer } = bench
  const source = pattern(1024 * 1024)
  for (let at = 0; at < source.size; at += 50_000) {
    assert.equal(owner.link.write(source, at, Math.min(source.size, at + 50_000)), true)
  }
  assert.equal(owner.link.blocked, true)
  assert.equal(owner.link.waitingBytes + owner.bytesWritten, source.size)
  assert.equal(host.arena.buffersInUse, 1)
  host.turn()
  assert.deepEqual(owner.told, [])
  const received = [peer.receive(100) ?? Buffer.alloc(0), collect(bench)]
  assert.ok(Buffer.concat(received).equals(source.bytes))
  host.turn()
  assert.deepEqual(owner.told, ['drained'])
  assert.deepEqual([owner.link.blocked, owner.bytesWritten, host.arena.bytesInUse], [false, source.size, 0])
  assert.equal(host.turn(), 0)
})

test('what waits moves to a larger buffer when a part of it has left', (t) => {
  const bench = openLink(t)
  const { host, owner, peer } = bench
  const source = pattern(1024 * 1024)
  let written = 0
  const write = (bytes: number): void => {
    assert.ok(owner.link.write(source, written, written + bytes))
    written += bytes
  }
  while (!owner.link.blocked) write(10_000)
  // Just within a buffer of 256 KiB.
  write(260_000 - owner.link.waitingBytes)
  const parts: Buffer[] = []
  while (owner.link.waitingBytes === 260_000) {
    parts.push(peer.receive(10_000) ?? Buffer.alloc(0))
    host.turn()
  }
  assert.ok(owner.link.blocked)
  const before = host.arena.bytesInUse
  write(250_000)
  assert.ok(host.arena.bytesInUse > before)
  assert.equal(host.arena.buffersInUse, 1)
  parts.push(collect(bench))
  assert.ok(Buffer.concat(parts).equals(source.bytes.subarray(0, written)))
})

test('own messages longer than the buffer for them leave whole', (t) => {
  const bench = openLink(t)
  const source = pattern(200_000)
  assert.equal(bench.owner.link.send(source.bytes), true)
  assert.ok(collect(bench).equals(source.bytes))
})

test('whatever is written and read in between, nothing is lost, doubled or reordered', (t) => {
  const bench = openLink(t)
  const { host, owner, peer } = bench
  const source = pattern(300_000)
  const step = fc.oneof(
    fc.record({ kind: fc.constant('write' as const), bytes: fc.oneof(fc.nat(100), fc.nat(120_000)) }),
    fc.record({ kind: fc.constant('read' as const), bytes: fc.nat(200_000) }),
    fc.record({ kind: fc.constant('turn' as const), bytes: fc.constant(0) }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
      const before = owner.bytesWritten
      const written: Buffer[] = []
      const read: Buffer[] = []
      let waiting = 0
      for (const { kind, bytes } of steps) {
        if (kind === 'turn') host.turn()
        else if (kind === 'read') read.push(peer.receive(bytes) ?? Buffer.alloc(0))
        // A session stops feeding a blocked link; one more piece may have been on its way.
        else if (waiting < 200_000) {
          const start = written.length * 1000
          assert.equal(owner.link.write(source, start, start + bytes), true)
          written.push(Buffer.from(source.bytes.subarray(start, start + bytes)))
        }
        waiting = owner.link.waitingBytes
        assert.equal(host.arena.buffersInUse, waiting > 0 ? 1 : 0)
        assert.ok(host.arena.bytesInUse >= waiting)
      }
      read.push(collect(bench))
      const all = Buffer.concat(written)
      assert.ok(Buffer.concat(read).equals(all))
      assert.equal(owner.bytesWritten - before, all.length)
      assert.equal(host.arena.bytesInUse, 0)
    }),
    { numRuns: 60 },
  )
})

test('an arena without room makes the write fail with the reason, and closing gives its buffer back', (t) => {
  const { host, owner } = openLink(t, 400 * 1024)
  const source = pattern(1024 * 1024)
  let at = 0
  while (owner.link.write(source, at, at + 65_536)) at += 65_536
  assert.equal(owner.link.failure, 'no buffer left for a peer that does not read')
  assert.equal(host.arena.buffersInUse, 1)
  owner.link.close()
  assert.deepEqual([host.arena.buffersInUse, owner.link.waitingBytes], [0, 0])
})

test('a paused link is told of nothing, and of what came meanwhile once it goes on', (t) => {
  const { host, owner, peer } = openLink(t)
  owner.link.pauseReading()
  assert.equal(owner.link.reading, false)
  peer.send('early')
  assert.equal(host.turn(), 0)
  owner.link.resumeReading()
  assert.deepEqual(owner.told, [])
  host.turn()
  assert.equal(owner.text, 'early')
})

test('a paused link still sends what waits', (t) => {
  const bench = openLink(t)
  bench.owner.link.write(pattern(600_000), 0, 600_000)
  bench.owner.link.pauseReading()
  assert.equal(collect(bench).length, 600_000)
  assert.deepEqual(bench.owner.told, ['drained'])
})

test('a connecting link waits for writability alone, and then for bytes', (t) => {
  const listener = openListener(parseSocketAddress('127.0.0.1', 0), { backlog: 1, ipv6Only: false })
  const host = new TestLinkHost()
  const owner = new TestLink(host, startConnect(localAddress(listener)))
  owner.link.watchConnect()
  host.turnUntil(() => owner.told.length > 0)
  assert.deepEqual(owner.told, ['drained'])
  owner.link.watchBytes()
  assert.equal(host.turn(), 0)
  const accepted = acceptClient(listener)
  assert.ok(typeof accepted !== 'string')
  const peer = new RawPeer(accepted.fd)
  peer.send('hello')
  host.turnUntil(() => owner.text !== '')
  assert.equal(owner.text, 'hello')
  t.after(() => {
    owner.link.close()
    peer.close()
    listener.close()
    host.close()
  })
})

test('nothing can be written to a link that is closed: its descriptor would be missed later, by somebody else', (t) => {
  const { owner } = openLink(t)
  owner.link.close()
  assert.throws(() => owner.link.write(nativeBytes('too late'), 0, 8), /closed link/)
})
