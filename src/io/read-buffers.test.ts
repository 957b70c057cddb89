import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nativeBytes, openLink, openRingIfAllowed, openSocketPair } from './link-host.fixture.ts'
import { ReadBuffers } from './read-buffers.ts'

test('a buffer whose bytes wait to leave is not read into; when all wait, they leave', (t) => {
  const ring = openRingIfAllowed()
  if (ring === null) return t.skip('io_uring is not allowed here')
  const { host, owner, peer } = openLink(t, undefined, openSocketPair(), ring)
  const buffers = [nativeBytes('a'), nativeBytes('b')] as const
  const reads = new ReadBuffers(buffers, host.sends)
  reads.claim()
  assert.equal(reads.current, buffers[0])
  reads.claim()
  assert.equal(reads.current, buffers[0], 'nothing of it waits')
  owner.link.write(reads.current, 0, 1)
  reads.claim()
  assert.equal(reads.current, buffers[1])
  const other = openLink(t, undefined, openSocketPair(), ring)
  host.sends.add(other.owner.link, reads.current, 0, 1)
  assert.equal(String(peer.receive()), '')
  reads.claim()
  assert.equal(reads.current, buffers[0])
  assert.equal(String(peer.receive()), 'a')
  assert.equal(String(other.peer.receive()), 'b')
  return undefined
})

test('a buffer that is passed on in parts, the last of which waits while the others have left, is not read into', (t) => {
  const ring = openRingIfAllowed()
  if (ring === null) return t.skip('io_uring is not allowed here')
  const { host, owner } = openLink(t, undefined, openSocketPair(), ring)
  const buffers = [nativeBytes('ab'), nativeBytes('c')] as const
  const reads = new ReadBuffers(buffers, host.sends)
  owner.link.write(reads.current, 0, 1)
  owner.link.write(reads.current, 1, 2)
  reads.claim()
  assert.equal(reads.current, buffers[1])
  return undefined
})

test('after a batch the first buffer is used again', (t) => {
  const ring = openRingIfAllowed()
  if (ring === null) return t.skip('io_uring is not allowed here')
  const { host, owner } = openLink(t, undefined, openSocketPair(), ring)
  const buffers = [nativeBytes('a'), nativeBytes('b')] as const
  const reads = new ReadBuffers(buffers, host.sends)
  owner.link.write(reads.current, 0, 1)
  reads.claim()
  host.sends.flush()
  reads.claim()
  assert.equal(reads.current, buffers[0])
  return undefined
})
