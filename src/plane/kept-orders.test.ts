import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openArena } from '../io/link-host.fixture.ts'
import { PLANE_RECORD_BYTES } from '../memory/layout.ts'
import { PLANE } from '../memory/plane-records.ts'
import { Region } from '../memory/region.ts'
import { KeptOrders, type Orders } from './kept-orders.ts'
import { NO_VALUES } from './no-values.ts'

const PLANE_INDEX = 1

function bench() {
  const { arena } = openArena(4 * 1024 * 1024)
  const planes = new Region(new ArrayBuffer(2 * PLANE_RECORD_BYTES), 0, PLANE_RECORD_BYTES, 2)
  const open = (): KeptOrders => new KeptOrders(arena, planes, PLANE_INDEX)
  const at = PLANE_INDEX * (planes.recordBytes >> 2) + PLANE.ordersHandle
  return { arena, planes, open, at }
}

const orders = (version: number, size = 0): Orders => ({
  values: { ...NO_VALUES, version, mockSecret: 'x'.repeat(size) },
  paused: [null, 'shop'],
  held: [3],
})

test('what a plane was told is there for its successor, when arena and record are made anew', () => {
  const { arena, planes, open } = bench()
  assert.equal(open().take(), null)
  open().put(orders(1))
  open().put(orders(2))
  const successor = open()
  arena.rebuild([successor.handle])
  planes.clear(PLANE_INDEX)
  assert.deepEqual(successor.take(), orders(2))
  assert.equal(open().handle, successor.handle, 'and for the one after that')
  successor.put(orders(3))
  assert.equal(arena.buffersInUse, 1)
  assert.equal(open().take()?.values.version, 3)
})

test('nothing is left of what does not count any more: there are passwords in it', () => {
  const { arena, open } = bench()
  const kept = open()
  kept.put({ ...orders(1), paused: ['a secret'] })
  kept.put(orders(2))
  assert.equal(arena.memory.bytes.indexOf('a secret'), -1)
})

test('what is too long for a buffer is not kept, and what was before it is out of date', () => {
  const { arena, open } = bench()
  open().put(orders(1))
  const kept = open()
  kept.put(orders(2, 5 * 1024 * 1024))
  assert.deepEqual([kept.handle, open().take(), arena.buffersInUse], [0, null, 0])
})

test('a handle that is of no buffer of orders is not believed', () => {
  const { arena, planes, open, at } = bench()
  const other = arena.allocate(100)
  arena.memory.bytes.fill(7, arena.offset(other), arena.offset(other) + 100)
  for (const handle of [other, other + 1, 1_000_000, -1]) {
    planes.i32[at] = handle
    const kept = open()
    assert.deepEqual([kept.handle, kept.take()], [0, null])
  }
})
