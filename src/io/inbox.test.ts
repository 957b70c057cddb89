import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { Region } from '../memory/region.ts'
import { Inbox } from './inbox.ts'
import { nativeBytes, pattern, TestLinkHost } from './link-host.fixture.ts'
import type { NativeBuffer } from './native.ts'
import { READ_BYTES, READ_HEADROOM } from './read-buffers.ts'

function open(t: TestContext, arenaBytes?: number): { host: TestLinkHost; inbox: Inbox; region: Region } {
  const host = new TestLinkHost(arenaBytes)
  t.after(() => host.close())
  const region = new Region(new ArrayBuffer(256), 0, 128, 2)
  return { host, region, inbox: new Inbox(host, region, 1, { inboxHandle: 3, inboxBytes: 5 }) }
}

test('what is kept is taken once', (t) => {
  const { host, inbox } = open(t)
  assert.equal(inbox.keep(nativeBytes('..frame..'), 2, 7), true)
  assert.equal(inbox.bytes, 5)
  inbox.take()
  assert.equal(host.inbound.bytes.toString('latin1', inbox.start, inbox.end), 'frame')
  assert.equal(inbox.bytes, 0)
  assert.equal(host.arena.buffersInUse, 0)
})

test('any amount up to a headroom and a read comes back unchanged', (t) => {
  const { host, inbox } = open(t)
  const source = pattern(READ_HEADROOM + READ_BYTES)
  const edges = [1, READ_HEADROOM - 1, READ_HEADROOM, READ_HEADROOM + 1, READ_HEADROOM + READ_BYTES]
  fc.assert(
    fc.property(fc.oneof(fc.constantFrom(...edges), fc.integer({ min: 1, max: source.size })), (count) => {
      const start = source.size - count
      assert.equal(inbox.keep(source, start, source.size), true)
      inbox.take()
      assert.equal(inbox.end - inbox.start, count)
      assert.ok(host.inbound.bytes.subarray(inbox.start, inbox.end).equals(source.bytes.subarray(start)))
      host.arena.settle()
      assert.equal(host.arena.buffersInUse, 0)
    }),
  )
})

test('what is taken in one step shares a buffer as long as there is room, and stays as it is until the commit', (t) => {
  const { host, inbox } = open(t)
  const take = (text: string): [start: number, buffer: NativeBuffer] => {
    inbox.keep(nativeBytes(text), 0, text.length)
    inbox.take()
    return [inbox.start, host.inbound]
  }
  const [one, first] = take('one')
  const [two, second] = take('two')
  assert.deepEqual([first === second, two - one], [true, 3])
  const [, other] = take('x'.repeat(READ_HEADROOM + READ_BYTES - 5))
  assert.notEqual(other, first)
  assert.equal(first.bytes.toString('latin1', one, two + 3), 'onetwo')
})

test('what a read delivers is kept behind what is there, if that is no more than can be continued', (t) => {
  const { host, inbox } = open(t)
  host.reads.claim()
  host.inbound.bytes.write('more', READ_HEADROOM)
  inbox.keep(nativeBytes('some '), 0, 5)
  assert.equal(inbox.keepBehind(4), true)
  inbox.take()
  assert.equal(host.inbound.bytes.toString('latin1', inbox.start, inbox.end), 'some more')
  assert.equal(inbox.keepBehind(4), true)
  inbox.release()
  inbox.keep(pattern(READ_HEADROOM + 1), 0, READ_HEADROOM + 1)
  assert.equal(inbox.keepBehind(4), false)
  assert.equal(inbox.bytes, READ_HEADROOM + 1)
})

test('bytes that came by a read may be kept where they lie and come back', (t) => {
  const { host, inbox } = open(t)
  host.inbound.bytes.write('abcdef', READ_HEADROOM)
  inbox.keep(host.inbound, READ_HEADROOM + 2, READ_HEADROOM + 6)
  host.inbound.bytes.fill(0)
  inbox.take()
  assert.equal(host.inbound.bytes.toString('latin1', inbox.start, inbox.end), 'cdef')
})

test('nothing kept takes no buffer, and nothing is taken', (t) => {
  const { host, inbox } = open(t)
  assert.equal(inbox.keep(nativeBytes('abc'), 1, 1), true)
  assert.equal(host.arena.buffersInUse, 0)
  inbox.take()
  assert.equal(inbox.start, inbox.end)
})

test('keeping twice is a mistake: the first bytes would be lost', (t) => {
  const { inbox } = open(t)
  inbox.keep(nativeBytes('abc'), 0, 3)
  assert.throws(() => inbox.keep(nativeBytes('def'), 0, 3), /kept twice/)
  assert.equal(inbox.bytes, 3)
})

test('an arena without room is told, and the inbox stays empty', (t) => {
  const { inbox, region } = open(t, 8 * 4096)
  assert.equal(inbox.keep(pattern(65_536), 0, 65_536), false)
  assert.equal(inbox.bytes, 0)
  assert.deepEqual([...region.i32], Array(64).fill(0))
})

test('release gives the buffer back, once', (t) => {
  const { host, inbox, region } = open(t)
  inbox.keep(nativeBytes('abc'), 0, 3)
  assert.equal(host.arena.buffersInUse, 1)
  // In the second slot, and in no other place of the region.
  assert.deepEqual([region.i32[32 + 5], region.i32[32 + 3] !== 0], [3, true])
  inbox.release()
  inbox.release()
  assert.equal(host.arena.buffersInUse, 0)
  assert.deepEqual([...region.i32], Array(64).fill(0))
})

test('what was used comes back before what is kept', (t) => {
  const { host, inbox } = open(t)
  assert.equal(inbox.unread(Buffer.from('first')), true)
  inbox.take()
  assert.equal(host.inbound.bytes.toString('latin1', inbox.start, inbox.end), 'first')
  inbox.keep(nativeBytes('then'), 0, 4)
  assert.equal(inbox.unread(Buffer.from('first ')), true)
  assert.equal(host.arena.buffersInUse, 1)
  inbox.take()
  assert.equal(host.inbound.bytes.toString('latin1', inbox.start, inbox.end), 'first then')
})

test('what does not fit does not come back, and nothing is lost', (t) => {
  const { host, inbox } = open(t)
  const source = pattern(READ_HEADROOM + READ_BYTES)
  inbox.keep(source, 0, source.size)
  assert.equal(inbox.unread(Buffer.from('x')), false)
  assert.equal(inbox.bytes, source.size)
  inbox.release()
  assert.equal(host.arena.buffersInUse, 0)
})
