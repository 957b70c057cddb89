import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nativeBytes, openLink, openTcpPair, pattern, RawPeer, TestLink } from './link-host.fixture.ts'
import { LINK_END } from './link-read.ts'
import { PlainSends } from './plain-sends.ts'
import { openSocketPair } from './socket.ts'

test('an end is read after the last bytes', (t) => {
  const { host, owner, peer } = openLink(t)
  peer.send('bye')
  peer.end()
  host.turn()
  host.turn()
  assert.deepEqual([owner.text, owner.ending], ['bye', LINK_END])
})

test('a peer that dies while the link is paused is told once, and wakes nobody up any more', (t) => {
  const { host, owner, peer } = openLink(t)
  owner.link.pauseReading()
  peer.send('last words')
  peer.close()
  let wakeUps = 0
  for (let turn = 0; turn < 5; turn++) wakeUps += host.turn()
  assert.equal(wakeUps, 1)
  assert.deepEqual(owner.told, ['hang-up'])
  // What it said before is still there.
  owner.link.resumeReading()
  host.turn()
  host.turn()
  assert.deepEqual([owner.text, owner.ending], ['last words', LINK_END])
})

test('a reset while bytes wait is told, paused or not: they cannot be delivered', (t) => {
  for (const paused of [true, false]) {
    const { host, owner, peer } = openLink(t, undefined, openTcpPair())
    peer.send('unread')
    while (!owner.link.blocked) assert.ok(owner.link.write(pattern(500_000), 0, 500_000))
    if (paused) owner.link.pauseReading()
    // Closed with bytes unread: the kernel answers with a reset.
    peer.close()
    host.turnUntil(() => owner.told.includes('lost'))
    assert.match(owner.link.failure, /^(send|recv): (ECONNRESET|EPIPE)$/)
    assert.ok(!owner.told.includes('drained'))
  }
})

test('a half-closed peer does not wake up a paused link', (t) => {
  const { host, owner, peer } = openLink(t, undefined, openTcpPair())
  owner.link.pauseReading()
  peer.end()
  assert.equal(host.turn(20), 0)
  owner.link.resumeReading()
  host.turn(1000)
  assert.deepEqual([owner.told, owner.ending], [['readable'], LINK_END])
})

test('a half-closed peer is told once to who asked for it, and its bytes and its end are read later', (t) => {
  const { host, owner, peer } = openLink(t, undefined, openTcpPair())
  owner.link.pauseReading()
  owner.link.watchEnd()
  peer.send('request')
  assert.equal(host.turn(20), 0)
  peer.end()
  assert.equal(host.turn(1000), 1)
  assert.equal(host.turn(20), 0)
  assert.deepEqual(owner.told, ['peer end'])
  // It may still listen.
  owner.link.send(Buffer.from('answer'))
  host.turnUntil(() => peer.receive()?.toString() === 'answer')
  owner.link.resumeReading()
  host.turnUntil(() => owner.ending !== null)
  assert.deepEqual([owner.text, owner.ending], ['request', LINK_END])
  assert.deepEqual(owner.told, ['peer end', 'readable', 'readable'])
})

test('what is written to a peer that is gone is dropped, and its owner told once, after its last words', (t) => {
  const { host, owner, peer } = openLink(t)
  peer.send('last words')
  peer.close()
  assert.equal(owner.link.write(nativeBytes('abc'), 0, 3), true)
  assert.equal(owner.link.failure, 'send: EPIPE')
  assert.equal(owner.link.send(Buffer.from('abc')), true)
  assert.deepEqual([owner.told, owner.link.blocked, owner.bytesWritten], [[], false, 0])
  host.deferred.run()
  assert.deepEqual([owner.text, owner.told], ['last words', ['readable', 'lost']])
})

test('after a hang-up the peer sees the end, and we still read what it sends', (t) => {
  const { host, owner, peer } = openLink(t)
  owner.link.send(Buffer.from('bye'))
  owner.link.hangUp()
  assert.equal(peer.receive()?.toString(), 'bye')
  assert.equal(peer.receive(), null)
  peer.send('answer')
  host.turn()
  assert.equal(owner.text, 'answer')
})

test('a hang-up cuts off nothing that waits: the end comes after it', (t) => {
  const { host, owner, peer } = openLink(t)
  owner.link.write(pattern(600_000), 0, 600_000)
  assert.ok(owner.link.blocked)
  owner.link.hangUp()
  let received = 0
  host.turnUntil(() => {
    const bytes = peer.receive()
    received += bytes?.length ?? 0
    return bytes === null
  })
  assert.equal(received, 600_000)
  assert.deepEqual(owner.told, ['drained'])
  peer.send('answer')
  host.turn()
  assert.equal(owner.text, 'answer')
})

test('a hang-up waits for what is held back until the end of the step', (t) => {
  const { host, owner, peer } = openLink(t, undefined, openSocketPair(), new PlainSends())
  owner.link.send(Buffer.from('held '))
  owner.link.hangUp()
  owner.link.send(Buffer.from('back'))
  assert.equal(peer.receive()?.length, 0, 'nothing leaves before the step is committed, the end neither')
  host.turn()
  assert.equal(peer.receive()?.toString(), 'held back')
  assert.equal(peer.receive(), null)
})

test('a link that is closed with bytes held back closes when they have left', (t) => {
  const { host, owner, peer } = openLink(t, undefined, openSocketPair(), new PlainSends())
  owner.link.send(Buffer.from('last words'))
  owner.link.close()
  assert.equal(peer.receive()?.length, 0)
  host.turn()
  assert.equal(peer.receive()?.toString(), 'last words')
  assert.equal(peer.receive(), null)
  assert.ok(owner.link.fd.closed)
})

test('an exception while one link is served is its owner’s, and the others are served', (t) => {
  const first = openLink(t)
  const [mine, theirs] = openSocketPair()
  const second = new TestLink(first.host, mine)
  const peer = new RawPeer(theirs)
  first.owner.beforeReading = () => {
    throw new Error('broken')
  }
  first.peer.send('x')
  peer.send('y')
  first.host.turn()
  assert.deepEqual(first.owner.told, ['readable', 'fault: broken'])
  assert.equal(second.text, 'y')
  second.link.close()
  peer.close()
})

test('a closed link is told nothing, not even what is in the batch already', (t) => {
  const first = openLink(t)
  const [mine, theirs] = openSocketPair()
  const second = new TestLink(first.host, mine)
  const peer = new RawPeer(theirs)
  first.owner.beforeReading = () => second.link.close()
  second.beforeReading = () => first.owner.link.close()
  first.peer.send('x')
  peer.send('y')
  first.host.turn()
  assert.equal(first.owner.told.length + second.told.length, 1)
  peer.close()
  second.link.close()
})

test('closing twice is harmless, and the descriptor is closed with the link', (t) => {
  const { host, owner, peer } = openLink(t)
  owner.link.write(pattern(600_000), 0, 600_000)
  owner.link.close()
  owner.link.close()
  assert.deepEqual([owner.link.closed, owner.link.fd.closed, host.arena.buffersInUse], [true, true, 0])
  while (peer.receive()?.length) {}
  assert.equal(peer.receive(), null)
})

test('an owner that closes its link when it is drained is not asked to read', (t) => {
  const { host, owner, peer } = openLink(t)
  // A part that the kernel takes at once when the peer has read the first one.
  owner.link.write(pattern(300_000), 0, 300_000)
  assert.ok(owner.link.blocked)
  while (peer.receive()?.length);
  peer.send('question')
  owner.onDrainedDo = () => owner.link.close()
  assert.equal(host.turn(), 1)
  assert.deepEqual(owner.told, ['drained'])
})
