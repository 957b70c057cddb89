import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PROFILE } from '../../../memory/profile-records.ts'
import { loadRecord, SHARD_LOAD } from '../../../memory/shard-records.ts'
import { NO_POLICY } from '../../../shard/policy.ts'
import { EMPTY_RULE } from '../../../shard/tier-rule.fixture.ts'
import { recordsOf, TestRouter } from '../../router-control.fixture.ts'
import { writeClient, writePool } from '../../router-memory.fixture.ts'
import { showPolicy } from './show-policy.ts'
import { showQueues, showSlots } from './show-slots.ts'

function routerWithRules(): TestRouter {
  const router = new TestRouter()
  const rules = [
    { ...EMPTY_RULE, user: 'etl', tier: 'low' as const },
    { ...EMPTY_RULE, user: 'report-*', max: { slots: 2, percent: 0 }, queue: 5, pools: ['replicas'] },
  ]
  router.policy = { ...NO_POLICY, rules }
  return router
}

/** `rule`: its place. */
function client(router: TestRouter, slot: number, state: 'active' | 'waiting' | 'idle', rule: number): void {
  writeClient(router, slot, state, { pool: 1, server: state === 'active' ? slot + 1 : 0 })
  const { i32, recordBytes } = router.memory.profiles
  i32[slot * (recordBytes >> 2) + PROFILE.generation] = 1
  i32[slot * (recordBytes >> 2) + PROFILE.rule] = rule + 1
}

test('what the clients of a rule have of a shard stands beside tiers, where they are counted apart', () => {
  const router = routerWithRules()
  writePool(router, 0)
  const { shards } = router.memory
  shards.i32[loadRecord(0, 0) * (shards.recordBytes >> 2) + SHARD_LOAD.limit] = 8
  for (const [slot, state] of (['active', 'active', 'waiting', 'idle'] as const).entries())
    client(router, slot, state, 1)
  client(router, 4, 'active', 0)
  client(router, 5, 'active', -1)
  const rows = recordsOf(showSlots, router)
  assert.deepEqual(
    rows
      .filter(({ rule, tier }) => rule !== null || tier === 'low')
      .map(({ shard, tier, rule }) => [shard, tier, rule]),
    [
      ['alpha', 'low', null],
      ['alpha', null, 2],
      ['beta', null, 2],
    ],
  )
  const ofRule = rows.find(({ rule, shard }) => rule === 2 && shard === 'alpha')
  assert.deepEqual(
    [ofRule?.held, ofRule?.waiting, ofRule?.allowed, ofRule?.admitted, ofRule?.avg_wait_ms],
    [2, 1, 2, null, null],
  )
  assert.deepEqual(
    recordsOf(showQueues, router).map(({ shard, rule }) => [shard, rule]),
    [['alpha', 2]],
  )
})

test('the policy is shown with what rules say', () => {
  const rows = recordsOf(showPolicy, routerWithRules())
  assert.deepEqual(
    rows.map(({ tier, rule, clients }) => [tier, rule, clients]),
    [
      ...['high', 'medium', 'low', 'background'].map((tier) => [tier, null, null]),
      ['low', 1, 'user etl'],
      [null, 2, 'user report-*'],
    ],
  )
  const { pools, max, queue, reserved, query_ms: query } = rows[5] ?? {}
  assert.deepEqual([pools, max, queue, reserved, query], ['replicas', '2', 5, null, null])
})
