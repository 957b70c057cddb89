import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nativeBytes, openLink, openRingIfAllowed } from './link-host.fixture.ts'
import { PlainSends } from './plain-sends.ts'
import { ReadBuffers } from './read-buffers.ts'
import { openSocketPair } from './socket.ts'

test('each read of a step has a buffer of its own; when all are taken the step ends, and the first one is next', (t) => {
  const ring = openRingIfAllowed() ?? new PlainSends()
  const { host, owner, peer } = openLink(t, undefined, openSocketPair(), ring)
  const buffers = [nativeBytes('a'), nativeBytes('b')] as const
  const reads = new ReadBuffers(buffers, host.sends, host.steps)
  reads.claim()
  assert.equal(reads.current, buffers[0])
  owner.link.write(reads.current, 0, 1)
  reads.claim()
  assert.equal(reads.current, buffers[1], 'although nothing of it waits')
  assert.equal(String(peer.receive()), '')
  reads.claim()
  assert.equal(reads.current, buffers[0])
  assert.equal(String(peer.receive()), 'a')
})

test('a buffer that nothing came into is used for the next read', (t) => {
  const { host } = openLink(t, undefined, openSocketPair(), new PlainSends())
  const buffers = [nativeBytes('a'), nativeBytes('b')] as const
  const reads = new ReadBuffers(buffers, host.sends, host.steps)
  reads.claim()
  reads.unclaim()
  reads.claim()
  assert.equal(reads.current, buffers[0])
})

test('after a step the first buffer is used again', (t) => {
  const { host, owner } = openLink(t, undefined, openSocketPair(), new PlainSends())
  const buffers = [nativeBytes('a'), nativeBytes('b')] as const
  const reads = new ReadBuffers(buffers, host.sends, host.steps)
  reads.claim()
  owner.link.write(reads.current, 0, 1)
  host.sends.settle()
  reads.claim()
  assert.equal(reads.current, buffers[0])
})
