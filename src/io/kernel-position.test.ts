import assert from 'node:assert/strict'
import { test } from 'node:test'
import { kernelPosition } from './kernel-position.ts'
import { openTcpPair, RawPeer } from './link-host.fixture.ts'
import { openSocketPair } from './socket.ts'

/** The accepted end and the peer's. */
function open(t: { after(run: () => void): void }): { readonly mine: RawPeer; readonly theirs: RawPeer } {
  const [client, accepted] = openTcpPair()
  const mine = new RawPeer(accepted)
  const theirs = new RawPeer(client)
  t.after(() => {
    mine.close()
    theirs.close()
  })
  return { mine, theirs }
}

/** Until the kernel has moved the bytes from one end of the loopback to the other. */
function until(done: () => boolean): void {
  const deadline = performance.now() + 5000
  while (!done()) assert.ok(performance.now() < deadline, 'waited too long')
}

test('what was read counts, what merely came does not', (t) => {
  const { mine, theirs } = open(t)
  assert.deepEqual(kernelPosition(mine.fd), { read: 0, written: 0 })
  theirs.send('twelve bytes')
  let got = 0
  until(() => {
    got += mine.receive(4)?.length ?? 0
    return got > 0
  })
  assert.deepEqual(kernelPosition(mine.fd), { read: got, written: 0 })
  until(() => (mine.receive()?.length ?? 0) > 0)
  assert.deepEqual(kernelPosition(mine.fd), { read: 12, written: 0 })
})

test('what the kernel took counts, whether the peer has read it or not', (t) => {
  const { mine, theirs } = open(t)
  let sent = 0
  for (let count = mine.send('x'.repeat(100_000)); count > 0; count = mine.send('x'.repeat(100_000))) sent += count
  assert.deepEqual(kernelPosition(mine.fd), { read: 0, written: sent })
  until(() => (theirs.receive()?.length ?? 0) > 0)
  assert.deepEqual(kernelPosition(mine.fd), { read: 0, written: sent })
})

test('an end is no byte', (t) => {
  const { mine, theirs } = open(t)
  theirs.send('abc')
  until(() => (mine.receive()?.length ?? 0) > 0)
  theirs.end()
  until(() => mine.receive() === null)
  assert.deepEqual(kernelPosition(mine.fd), { read: 3, written: 0 })
  mine.send('bye')
  mine.end()
  until(() => {
    const position = kernelPosition(mine.fd)
    return position === null || position.written === 3
  })
})

test('a Unix socket keeps no count', (t) => {
  const [mine, theirs] = openSocketPair()
  t.after(() => {
    mine.close()
    theirs.close()
  })
  assert.equal(kernelPosition(mine), null)
})
