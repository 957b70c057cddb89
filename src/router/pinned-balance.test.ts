import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type PinnedLoad, pinnedSurplus } from './pinned-balance.ts'

const loads = (...given: readonly (readonly [pinned: number, share: number])[]): readonly PinnedLoad[] =>
  given.map(([pinned, share], shard) => ({ shard, pinned, share }))

test('a shard that joins: those beyond the share of the others move', () => {
  assert.deepEqual(pinnedSurplus(loads([10, 1], [0, 1]), 0), { shard: 0, sessions: 5 })
  // As slowly as it gets its share.
  assert.deepEqual(pinnedSurplus(loads([11, 1], [0, 0.1]), 0), null)
  assert.deepEqual(pinnedSurplus(loads([6, 1], [0, 1]), 5), null)
})

test('a shard that leaves: all move; where there is no other, nobody', () => {
  assert.deepEqual(pinnedSurplus(loads([3, 0], [5, 1]), 0), { shard: 0, sessions: 3 })
  assert.equal(pinnedSurplus(loads([3, 0], [5, 0]), 0), null)
  assert.equal(pinnedSurplus([], 0), null)
})

test('a shard that gets hot keeps the share of one that has less', () => {
  assert.deepEqual(pinnedSurplus(loads([10, 0.25], [10, 1]), 0), { shard: 0, sessions: 6 })
})

test('a little more than the share is left alone', () => {
  assert.equal(pinnedSurplus(loads([12, 1], [10, 1]), 0), null)
  assert.equal(pinnedSurplus(loads([1, 1], [0, 1]), 0), null)
  assert.deepEqual(pinnedSurplus(loads([13, 1], [9, 1]), 0), null)
  assert.deepEqual(pinnedSurplus(loads([14, 1], [8, 1]), 0), { shard: 0, sessions: 3 })
})

test('whoever moves goes where there is least: nobody moves to and fro, and it comes to an end', () => {
  const shard = fc.record({ pinned: fc.nat(60), share: fc.constantFrom(0, 0.1, 0.25, 0.5, 1) })
  const property = fc.property(fc.array(shard, { minLength: 1, maxLength: 5 }), (given) => {
    const state = given.map(({ pinned, share }, at) => ({ shard: at, pinned, share }))
    const gaveAway = new Set<number>()
    for (let moves = 0; ; moves++) {
      assert.ok(moves <= 300, 'it goes on for ever')
      const surplus = pinnedSurplus(state, 0)
      if (surplus === null) return
      const from = state[surplus.shard]!
      gaveAway.add(from.shard)
      from.pinned--
      const open = state.filter(({ share }) => share > 0)
      const cost = (each: PinnedLoad): number => (each.pinned + 1) / each.share
      const to = open.reduce((best, each) => (cost(each) < cost(best) ? each : best))
      to.pinned++
      assert.ok(!gaveAway.has(to.shard), 'a shard got back what it gave away')
    }
  })
  fc.assert(property, { numRuns: 500 })
})
