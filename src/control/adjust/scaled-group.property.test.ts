import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { LIMITS } from '../scaling/scale-plan.fixture.ts'
import { SETTINGS } from './load-simulation.fixture.ts'
import { type GroupDemand, ScaledGroup } from './scaled-group.fixture.ts'

const HOUR = 3600
const OPTIONS = { replicas: 0, maxShards: 6, limits: LIMITS, readySeconds: 10 }
const IDLE: GroupDemand = { high: 1, medium: 0, low: 0 }

const demand: fc.Arbitrary<GroupDemand> = fc.record({
  high: fc.integer({ min: 0, max: 24 }),
  medium: fc.integer({ min: 0, max: 30 }),
  low: fc.integer({ min: 0, max: 60 }),
})
const replicas = fc.integer({ min: 0, max: 2 })

test('reads in the way of a high tier get a replica when they have nothing left to give, and only then', () => {
  // A promise to high alone, which stays on the primary, is none that the plan by itself sees a replica for.
  const crowd = { high: 16, medium: 0, low: 20 }
  const group = new ScaledGroup(OPTIONS).run(crowd, 300)
  const [first] = group.changes
  assert.match(first?.reason ?? '', /^lower tiers have nothing left to give on shard-0: tier high waits/)
  assert.ok((first?.second ?? 0) * 1000 >= 4 * SETTINGS.patienceMs, 'after the ladder has gone through its steps')
  assert.equal(group.highWaitMs(crowd), 0)
  const deaf = new ScaledGroup({ ...OPTIONS, hearsAppeals: false }).run(crowd, 300)
  assert.deepEqual(deaf.changes, [])
  assert.ok(deaf.highWaitMs(crowd) > 0)
})

test('a high tier that is alone, and too much for its primary, gets none', () => {
  assert.deepEqual(new ScaledGroup(OPTIONS).run({ high: 24, medium: 0, low: 0 }, HOUR).changes, [])
})

test('ladders and plan together come to rest under a load that stays the same', () => {
  fc.assert(
    fc.property(demand, replicas, (wanted, replicas) => {
      const group = new ScaledGroup({ ...OPTIONS, replicas }).run(wanted, 2 * HOUR)
      const late = group.changes.filter(({ second }) => second > HOUR)
      assert.deepEqual(late, [], JSON.stringify(group.changes))
      const actions = group.changes.map(({ action }) => action)
      const turns = actions.filter((action, at) => at > 0 && action !== actions[at - 1]).length
      assert.ok(turns <= 1, JSON.stringify(group.changes))
    }),
    { numRuns: 40 },
  )
})

test('limits and cool-downs hold whatever the load does, and what was added goes when it is over', () => {
  const phases = fc.array(fc.tuple(demand, fc.integer({ min: 20, max: 600 })), { minLength: 1, maxLength: 8 })
  fc.assert(
    fc.property(phases, replicas, (story, replicas) => {
      const group = new ScaledGroup({ ...OPTIONS, replicas, maxShards: 4 })
      for (const [wanted, seconds] of story) group.run(wanted, seconds)
      group.run(IDLE, 4 * HOUR)
      for (const [at, { second, action, shards }] of group.changes.entries()) {
        assert.ok(shards <= 4 && shards >= 1 + replicas)
        const before = group.changes[at - 1]
        const cooldownMs = action === 'add' ? LIMITS.cooldownOutMs : LIMITS.cooldownInMs
        if (before !== undefined) assert.ok((second - before.second) * 1000 >= cooldownMs)
      }
      assert.equal(group.shards, 1 + replicas, JSON.stringify(group.changes))
    }),
    { numRuns: 25 },
  )
})
