import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AdaptiveLimit } from './adaptive-limit.ts'

const ADAPTIVE = { limit: 'adaptive', minSlots: 2, tolerance: 2, ageMs: 1000, maxWaiting: 10 } as const
const SLOTS = 40

/** A shard with four cores, on which a query of the high tier takes a millisecond when it is alone. */
function highLatency(low: number): number {
  return Math.max(1, (2 + low) / 4)
}

/** Seconds of high tier queries beside as many low ones as are allowed; the allowances at the end of each 100 ms. */
function simulate(limit: AdaptiveLimit, from: number, seconds: number, lowWanted: number): number[] {
  const allowances: number[] = []
  for (let step = 0; step < seconds * 10; step++) {
    const low = Math.min(lowWanted, limit.most(2))
    for (let query = 0; query < 20; query++) {
      limit.observe(0, highLatency(low), from + step * 100 + query * 5, [2, 0, low, 0])
      limit.observe(2, 50, from + step * 100 + query * 5, [2, 0, low, 0])
    }
    allowances.push(limit.allowance)
  }
  return allowances
}

function adaptive(changes: Partial<Parameters<AdaptiveLimit['configure']>[0]> = {}): AdaptiveLimit {
  const limit = new AdaptiveLimit()
  limit.configure({ ...ADAPTIVE, ...changes }, SLOTS)
  return limit
}

test('a fixed limit allows everybody everything, whatever the latency', () => {
  const limit = adaptive({ limit: 'fixed' })
  simulate(limit, 0, 1, 0)
  assert.deepEqual(new Set(simulate(limit, 1000, 2, 40)), new Set([SLOTS]))
})

test('while a higher tier is slow the lower ones get fewer slots, within three seconds as few as it takes', () => {
  const limit = adaptive()
  simulate(limit, 0, 2, 0)
  const allowances = simulate(limit, 2000, 20, 40)
  // Twice its best is what six of low and two of high take.
  const settled = allowances.slice(30)
  assert.ok(Math.max(...settled) <= 7, `${settled}`)
  assert.ok(Math.min(...settled) >= 3, `${settled}`)
  assert.equal(limit.most(0), SLOTS)
})

test('when the higher tier is gone the lower ones have everything again', () => {
  const limit = adaptive()
  simulate(limit, 0, 2, 0)
  simulate(limit, 2000, 5, 40)
  assert.ok(limit.most(2) < 10)
  for (let ms = 0; ms < 5000; ms += 50) limit.observe(2, 50, 7000 + ms, [0, 0, 10, 0])
  assert.equal(limit.most(2), SLOTS)
})

test('what the lower tiers do not use is not taken from them', () => {
  const limit = adaptive()
  simulate(limit, 0, 2, 0)
  for (let ms = 0; ms < 3000; ms += 10) limit.observe(0, 50, 2000 + ms, [9, 0, 0, 0])
  assert.equal(limit.allowance, SLOTS)
})

test('it never goes below its bound', () => {
  const limit = adaptive({ minSlots: 5 })
  simulate(limit, 0, 2, 0)
  for (let ms = 0; ms < 9000; ms += 10) limit.observe(0, 500, 2000 + ms, [9, 0, 9, 0])
  assert.equal(limit.allowance, 5)
})
