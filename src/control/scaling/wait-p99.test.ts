import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SHARD_WAITS, waitBucket } from '../../memory/shard-records.ts'
import { waitAtP99 } from './wait-p99.ts'

function sample(waits: readonly number[], admitted: number, waiting = 0) {
  const waitCounts = new Array<number>(SHARD_WAITS.buckets).fill(0)
  for (const wait of waits) waitCounts[waitBucket(wait)]!++
  return { intervalMs: 1000, admitted, waitCounts, waiting }
}

test('nobody waits', () => {
  assert.equal(waitAtP99(sample([], 0)), 0)
  assert.equal(waitAtP99(sample([], 1000)), 0)
})

test('one in a hundred may wait, a second one may not', () => {
  assert.equal(waitAtP99(sample([900], 100)), 0)
  const two = waitAtP99(sample([900, 900], 100))
  assert.ok(two > 512 && two <= 1024, `${two}`)
})

test('it is at most twice what it should be, whatever is waited', () => {
  for (const wait of [0.2, 0.7, 3, 40, 500, 7000]) {
    const found = waitAtP99(sample(new Array(50).fill(wait), 50))
    assert.ok(found >= wait / 2 && found <= Math.max(0.5, wait * 2), `${wait}: ${found}`)
  }
})

test('those that still wait count as well', () => {
  assert.equal(waitAtP99(sample([], 100, 5)), 50)
  assert.equal(waitAtP99(sample([], 0, 3)), 1000)
})
