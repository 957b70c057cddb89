import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Heap, IdleCollector } from './idle-collector.ts'

const MB = 1024 * 1024

/** A heap of which `live` bytes are no garbage. */
class TestHeap implements Heap {
  used: number
  live: number
  collections = 0

  constructor(used: number) {
    this.used = used
    this.live = used
  }

  usedBytes(): number {
    return this.used
  }

  collect(): void {
    this.collections++
    this.used = this.live
  }
}

test('much garbage is collected in a quiet second, and what is left is told', () => {
  const heap = new TestHeap(10 * MB)
  const collector = new IdleCollector(heap)
  heap.used = 14 * MB
  heap.live = 11 * MB
  assert.deepEqual([collector.tick(49, 0), heap.collections], [11 * MB, 1])
})

test('little garbage is not worth a pause', () => {
  const heap = new TestHeap(10 * MB)
  const collector = new IdleCollector(heap)
  heap.used = 14 * MB - 1
  assert.deepEqual([collector.tick(0, 0), heap.collections], [14 * MB - 1, 0])
})

test('nothing is collected while there is work; quiet is counted from the second before', () => {
  const heap = new TestHeap(10 * MB)
  const collector = new IdleCollector(heap)
  heap.used = 100 * MB
  assert.deepEqual([collector.tick(50, 0), heap.collections], [100 * MB, 0])
  assert.deepEqual([collector.tick(100, 0), heap.collections], [100 * MB, 0])
  collector.tick(149, 0)
  assert.equal(heap.collections, 1)
})

test('what a collection leaves is no garbage: the next one waits for more', () => {
  const heap = new TestHeap(10 * MB)
  const collector = new IdleCollector(heap)
  heap.used = 30 * MB
  heap.live = 20 * MB
  collector.tick(0, 0)
  heap.used = 23 * MB
  collector.tick(0, 0)
  assert.equal(heap.collections, 1)
  heap.used = 24 * MB
  collector.tick(0, 0)
  assert.equal(heap.collections, 2)
})

test('a heap that has shrunk by itself is measured from there', () => {
  const heap = new TestHeap(30 * MB)
  const collector = new IdleCollector(heap)
  heap.used = 10 * MB
  heap.live = 10 * MB
  collector.tick(0, 0)
  heap.used = 15 * MB
  assert.deepEqual([collector.tick(0, 0), heap.collections], [10 * MB, 1])
})

test('many closed clients are garbage that the heap does not grow by', () => {
  const heap = new TestHeap(30 * MB)
  const collector = new IdleCollector(heap)
  heap.live = 10 * MB
  assert.deepEqual([collector.tick(0, 2047), heap.collections], [30 * MB, 0])
  assert.deepEqual([collector.tick(0, 2048), heap.collections], [10 * MB, 1])
  assert.deepEqual([collector.tick(0, 4095), heap.collections], [10 * MB, 1])
})

test('little garbage is collected when nothing has happened for long', () => {
  const heap = new TestHeap(10 * MB)
  const collector = new IdleCollector(heap)
  heap.used = 10.5 * MB
  for (let second = 1; second < 15; second++) collector.tick(0, 0)
  // One second with work, and it begins anew.
  collector.tick(50, 0)
  for (let second = 1; second < 15; second++) collector.tick(50, 0)
  assert.equal(heap.collections, 0)
  assert.deepEqual([collector.tick(50, 0), heap.collections], [10 * MB, 1])
  heap.used = 10.5 * MB - 1
  for (let second = 0; second < 100; second++) collector.tick(50, 0)
  assert.equal(heap.collections, 1)
})
