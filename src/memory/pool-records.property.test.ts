import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { HISTOGRAM_BUCKETS, histogramBoundSeconds, histogramBucket } from './pool-records.ts'

const HOUR_MS = 3_600_000

test('a duration is counted in the bucket whose bounds it lies between', () => {
  const duration = fc.oneof(
    fc.double({ min: 0, max: 1, noNaN: true }),
    fc.double({ min: 0, max: HOUR_MS, noNaN: true }),
    fc.double({ min: 0, max: 1000 * HOUR_MS, noNaN: true }),
    fc.integer({ min: 0, max: 30 }).map((power) => 2 ** power / 1000),
  )
  fc.assert(
    fc.property(duration, (milliseconds) => {
      const bucket = histogramBucket(milliseconds)
      assert.ok(Number.isInteger(bucket) && bucket >= 0 && bucket < HISTOGRAM_BUCKETS)
      // Buckets are found in whole microseconds.
      const seconds = Math.floor(milliseconds * 1000) / 1e6
      assert.ok(seconds < histogramBoundSeconds(bucket), `${milliseconds} ms are not in bucket ${bucket}`)
      if (bucket > 0) assert.ok(seconds >= histogramBoundSeconds(bucket - 1), `${milliseconds} ms are below ${bucket}`)
    }),
    { numRuns: 1000 },
  )
})

test('bounds double from 64 µs, and the last bucket takes everything', () => {
  assert.equal(histogramBoundSeconds(0), 64e-6)
  for (let bucket = 1; bucket < HISTOGRAM_BUCKETS - 1; bucket++) {
    assert.equal(histogramBoundSeconds(bucket), 2 * histogramBoundSeconds(bucket - 1))
  }
  assert.equal(histogramBoundSeconds(HISTOGRAM_BUCKETS - 1), Number.POSITIVE_INFINITY)
})

test('a transaction of hours or days is in the last bucket, not among the fastest', () => {
  for (const hours of [1, 1.2, 2, 24, 24 * 365]) {
    assert.equal(histogramBucket(hours * HOUR_MS), HISTOGRAM_BUCKETS - 1, `${hours} h`)
  }
  assert.equal(histogramBucket(0), 0)
})
