import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PROFILE } from '../memory/profile-records.ts'
import type { PlaneValues } from '../shard/plane-values.ts'
import type { TierRule } from '../shard/policy.ts'
import { openPlane } from './plane.fixture.ts'

const RULE: TierRule = {
  ...{ user: 'ada', database: '*', application: '*', tier: 'low' },
  ...{ consistency: null, queueWaitMs: null, queryMs: null, transactionMs: null },
}

test('clients are looked at when there are other rules, and not when control repeats those there are', (t) => {
  const test = openPlane(t)
  test.connect().login()
  const { i32 } = test.shared.profiles
  const { values } = test.plane
  // No rule says that.
  i32[PROFILE.rule] = 7
  const repeat = (change: Partial<PlaneValues> = {}): void =>
    test.plane.setValues({ ...structuredClone(values), ...change, version: test.plane.values.version + 1 })
  repeat({ limits: { ...values.limits, maxClients: 5 } })
  assert.deepEqual([i32[PROFILE.rule], test.plane.values.version], [7, 2])
  repeat({ policy: { ...values.policy, rules: [RULE] } })
  assert.equal(i32[PROFILE.rule], 1)
  i32[PROFILE.rule] = 7
  repeat({ policy: test.plane.values.policy, analyzer: { ...values.analyzer, hints: true } })
  assert.equal(i32[PROFILE.rule], 1)
})

test('what control repeats changes nothing but numbers, unless the topology is another one', (t) => {
  const test = openPlane(t)
  const { plane } = test
  const { values, epoch } = plane
  const { shards } = values.topology
  plane.setValues({ ...structuredClone(values), version: 9, topology: { version: 8, shards: structuredClone(shards) } })
  assert.deepEqual([plane.values.version, plane.values.topology.version, plane.epoch], [9, 8, epoch])
  plane.setTopology({ version: 9, shards: structuredClone(shards) })
  assert.deepEqual([plane.values.topology.version, plane.epoch], [9, epoch])
  assert.equal(plane.values.topology.shards, shards)
  plane.setTopology({ version: 10, shards: shards.map((shard) => ({ ...shard, up: false })) })
  assert.deepEqual([plane.values.topology.shards[0]?.up, plane.epoch], [false, epoch + 1])
  plane.setValues({ ...structuredClone(values), version: 10, topology: { version: 11, shards } })
  assert.deepEqual([plane.values.topology.shards[0]?.up, plane.epoch], [true, epoch + 2])
})
