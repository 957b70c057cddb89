import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ShardLoadView } from '../memory/shard-records.ts'
import { slotStanding } from './slot-standing.ts'

function load(held: readonly number[], allowed: readonly number[], waiting: number): ShardLoadView {
  const nothing = { admitted: 0, waits: 0, waitMs: 0, refused: 0, timedOut: 0, latencySumMs: 0, latencyCount: 0 }
  const tiers = held.map((each, code) => ({
    ...nothing,
    held: each,
    allowed: allowed[code] ?? 0,
    waiting: code === 2 ? waiting : 0,
    waitCounts: [],
  }))
  return { limit: 10, peakLatencyMs: 1, replicaReads: 0, retriedReads: 0, tiers }
}

test('whether a transaction has to wait, and beside whom', () => {
  const busy = load([1, 2, 5, 0], [10, 10, 5, 2], 3)
  assert.equal(slotStanding([busy], 'high'), 'a slot is free: high has 1 of 10, all tiers 8 of 10')
  assert.equal(slotStanding([busy], 'low'), 'has to wait for a slot: low has 5 of 5, all tiers 8 of 10, 3 wait')
  const full = load([1, 2, 5, 2], [10, 10, 5, 2], 0)
  assert.equal(slotStanding([full], 'high'), 'has to wait for a slot: high has 1 of 10, all tiers 10 of 10')
  assert.equal(slotStanding([busy, full], 'high'), 'a slot is free: high has 2 of 20, all tiers 18 of 20')
  assert.equal(slotStanding([], 'high'), 'nobody has asked for a slot there yet')
})
