import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SlotAllocator } from './slot-allocator.ts'

test('ordinary slots are given in order, and the reserve only when they are gone', () => {
  const slots = new SlotAllocator(5, 3)
  assert.deepEqual(
    Array.from({ length: 6 }, () => slots.allocate()),
    [0, 1, 2, 3, 4, null],
  )
  assert.equal(slots.free, 0)
})

test('the slot freed last is given first', () => {
  const slots = new SlotAllocator(4, 4)
  for (let i = 0; i < 3; i++) slots.allocate()
  slots.release(0)
  slots.release(1)
  assert.equal(slots.free, 3)
  assert.deepEqual([slots.allocate(), slots.allocate(), slots.allocate()], [1, 0, 3])
})

test('a freed ordinary slot is given before the rest of the reserve', () => {
  const slots = new SlotAllocator(4, 2)
  for (let i = 0; i < 3; i++) slots.allocate()
  slots.release(1)
  assert.equal(slots.allocate(), 1)
  assert.equal(slots.allocate(), 3)
  slots.release(2)
  assert.equal(slots.allocate(), 2)
})

test('a slot that is given back twice is a bug that shows', () => {
  const slots = new SlotAllocator(1, 1)
  assert.throws(() => slots.release(0), /slot 0 was given back twice/)
})

test('slots that are claimed are not given out until they are released', () => {
  const allocator = new SlotAllocator(6, 4)
  for (const slot of [0, 2, 5]) allocator.claim(slot)
  assert.equal(allocator.free, 3)
  assert.deepEqual([allocator.allocate(), allocator.allocate(), allocator.allocate()], [1, 3, 4])
  assert.equal(allocator.allocate(), null)
  allocator.release(2)
  allocator.release(3)
  assert.deepEqual([allocator.allocate(), allocator.allocate(), allocator.allocate()], [3, 2, null])
})
