import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { adjustmentOf } from './adjustment-of.ts'
import { STEPS, type Step } from './ladder.ts'
import {
  type Demand,
  OBJECTIVES,
  SETTINGS,
  SimulatedShard,
  SLOTS,
  TICK_MS,
  TIER_POLICIES,
} from './load-simulation.fixture.ts'

const demand: fc.Arbitrary<Demand> = fc.tuple(
  fc.integer({ min: 0, max: 8 }),
  fc.integer({ min: 0, max: 16 }),
  fc.integer({ min: 0, max: 40 }),
  fc.integer({ min: 0, max: 40 }),
)
/** Some shards are overloaded before all slots are taken. */
const shard = fc.integer({ min: 6, max: 20 }).map((from) => new SimulatedShard(from))
const phases = fc.array(fc.tuple(demand, fc.integer({ min: 1, max: 60 })), { minLength: 1, maxLength: 12 })

test('under a load that stays the same the ladder comes to rest: in an hour a handful of tries to give back', () => {
  fc.assert(
    fc.property(shard, demand, (simulated, wanted) => {
      simulated.run(wanted, 3600)
      // Down at most five steps, and then a try after 10, 20, 40 … 320 s of calm, each of which may be taken back.
      assert.ok(simulated.changes.length <= 45, `${simulated.changes.length} changes`)
      const late = simulated.changes.filter(({ at }) => at > 1_800_000)
      assert.ok(late.length <= 12, `${late.length} changes in the second half hour`)
    }),
    { numRuns: 60 },
  )
})

test('whatever the load does, steps are patience apart, one at a time but for shortcuts to asking', () => {
  fc.assert(
    fc.property(shard, phases, (simulated, story) => {
      for (const [wanted, seconds] of story) simulated.run(wanted, seconds)
      let before: { at: number; step: string } = { at: Number.NEGATIVE_INFINITY, step: 'none' }
      for (const change of simulated.changes) {
        assert.ok(change.at - before.at >= SETTINGS.patienceMs)
        const from = STEPS.indexOf(before.step as Step)
        const to = STEPS.indexOf(change.step as Step)
        assert.ok(to === from + 1 || change.step === 'ask' || to < from, `${before.step} → ${change.step}`)
        if (to < from) assert.ok(change.at - before.at >= SETTINGS.calmMs)
        before = change
      }
    }),
  )
})

test('everything is given back when the load has gone', () => {
  fc.assert(
    fc.property(shard, phases, (simulated, story) => {
      for (const [wanted, seconds] of story) simulated.run(wanted, seconds)
      // Three steps back, each after 320 s of calm at worst.
      simulated.run([0, 0, 0, 0], 1000)
      assert.equal(simulated.ladder.step, 'none')
      assert.equal(adjustmentOf(simulated.ladder, TIER_POLICIES, SLOTS, OBJECTIVES), null)
    }),
  )
})

test('whoever is protected loses nothing, everybody else keeps a slot, and a step down never gives more', () => {
  fc.assert(
    fc.property(shard, phases, (simulated, story) => {
      for (const [wanted, seconds] of story) {
        for (let ticks = (seconds * 1000) / TICK_MS; ticks > 0; ticks--) {
          const before = simulated.ladder
          simulated.tick(wanted)
          const after = simulated.ladder
          const most = adjustmentOf(after, TIER_POLICIES, SLOTS, OBJECTIVES)?.most ?? []
          for (const [tier, slots] of most.entries()) {
            if (tier <= after.protects) assert.equal(slots, null)
            else assert.ok(slots === null || slots >= 1)
          }
          if (STEPS.indexOf(after.step) <= STEPS.indexOf(before.step) || after.protects !== before.protects) continue
          const had = adjustmentOf(before, TIER_POLICIES, SLOTS, OBJECTIVES)?.most ?? []
          for (const [tier, slots] of most.entries()) {
            assert.ok((slots ?? SLOTS) <= (had[tier] ?? SLOTS), `tier ${tier}: ${had[tier]} → ${slots}`)
          }
        }
      }
    }),
    { numRuns: 50 },
  )
})

test('a high tier that low ones crowd out gets its slots within seconds', () => {
  const simulated = new SimulatedShard()
  simulated.run([2, 0, 8, 4], 5)
  assert.equal(simulated.ladder.step, 'none')
  // Low tiers may have 12 of 16 slots together, so the sixth of the high ones waits.
  simulated.run([6, 0, 8, 4], 30)
  assert.equal(simulated.sight([6, 0, 8, 4]).tiers[0]?.waiting, 0)
  assert.deepEqual(
    simulated.changes.slice(0, 2).map(({ step }) => step),
    ['lend-less', 'shrink'],
  )
})
