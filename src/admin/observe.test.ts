import assert from 'node:assert/strict'
import { test } from 'node:test'
import { microsecondsSince, poolAt, timestampText } from './observe.ts'
import { TestRouter } from './router-control.fixture.ts'
import { writePool } from './router-memory.fixture.ts'

test('a monotonic time is printed on the wall clock, and one that has not come is nothing', () => {
  const { memory } = new TestRouter()
  assert.equal(timestampText(memory, 3_723_999), '2026-01-01 01:02:03 UTC')
  assert.equal(timestampText(memory, 0), null)
  assert.equal(timestampText(memory, Number.NaN), null)
  assert.equal(timestampText(memory, 1e300), null)
})

test('durations are never negative', () => {
  assert.equal(microsecondsSince(100, 98.5), 1_500)
  assert.equal(microsecondsSince(100, 101), 0)
  assert.equal(microsecondsSince(100, 0), 0)
})

test('a pool is found by its record while it is in use', () => {
  const router = new TestRouter()
  writePool(router, 2)
  assert.equal(poolAt(router.memory, 2)?.database, 'app')
  for (const record of [null, 1, -1, 8, 10_000]) assert.equal(poolAt(router.memory, record), null)
})
