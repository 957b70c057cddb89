import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PeakLatency } from './peak-latency.ts'

test('it rises at once and falls slowly, with and without news', () => {
  const peak = new PeakLatency()
  peak.observe(1, 0)
  peak.observe(50, 10)
  assert.equal(peak.at(10), 50)
  peak.observe(1, 20)
  assert.ok(peak.at(20) > 40)
  for (let now = 20; now < 60_000; now += 10) peak.observe(1, now)
  assert.ok(Math.abs(peak.at(60_000) - 1) < 0.5, String(peak.at(60_000)))
  assert.ok(peak.at(160_000) < 0.1)
})
