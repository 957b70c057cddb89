import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadSample } from '../../../control/monitor/load.fixture.ts'
import { loadRecord, SHARD_LOAD, SHARD_STATE_F64 } from '../../../memory/shard-records.ts'
import { recordsOf, TestRouter, testHealth } from '../../router-control.fixture.ts'
import { writePool, writeServer } from '../../router-memory.fixture.ts'
import { showShards } from './show-shards.ts'
import { showQueues, showSlots } from './show-slots.ts'
import { showTiers } from './show-tiers.ts'

test('a shard is shown with its health, connections of all its pools and totals', () => {
  const router = new TestRouter()
  writePool(router, 0, { shard: 'alpha', user: 'alice', transactions: 10, errors: 7 })
  writePool(router, 1, {
    shard: 'alpha',
    user: 'bob',
    transactions: 5,
    serverConnectFailures: 2,
    serverLoginFailures: 1,
  })
  writeServer(router, 0, 'active', { pool: 1 })
  writeServer(router, 1, 'idle', { pool: 2 })
  writeServer(router, 2, 'closing', { pool: 2 })
  const [alpha, beta] = recordsOf(showShards, router)
  assert.deepEqual(
    { ...alpha },
    {
      ...alpha,
      name: 'alpha',
      group: 'main',
      role: 'primary',
      up: true,
      reason: 'accepts connections',
      probe_time: '2026-01-01 00:01:39 UTC',
      host: 'alpha.example',
      sv_active: 1,
      sv_idle: 1,
      current_connections: 3,
      max_connections: 50,
      xact_count: 15,
      connect_failures: 3,
      health: 'up',
      since: '2026-01-01 00:01:35 UTC',
      answer_ms: null,
      errors: 7,
    },
  )
  assert.deepEqual([beta?.reason, beta?.probe_time, beta?.current_connections], ['not probed yet', null, 0])
})

test('pools of a shard that is not configured any more are left out', () => {
  const router = new TestRouter()
  writePool(router, 0, { shardId: 9 })
  writeServer(router, 0, 'idle', { pool: 1 })
  assert.deepEqual(
    recordsOf(showShards, router).map((row) => row.current_connections),
    [0, 0],
  )
})

test('what a shard says of its load stands beside what planes have there', () => {
  const router = new TestRouter()
  const sessions = { active: 4, idle: 30, inTransaction: 2, hidden: 1 }
  const rates = { transactions: 12.34, rollbacks: 0, tuplesReturned: 5, tuplesWritten: 1, blocksRead: 0, tempBytes: 0 }
  router.shardHealth = [
    testHealth(0, { load: loadSample({ walBytes: 9000 }) }),
    testHealth(1, {
      health: 'overloaded',
      load: loadSample({ sessions, walBytes: 8000, replayDelayMs: 40, tookMs: 3.14 }),
      rates: { ...rates, meanActive: 3.9 },
    }),
  ]
  const { shards } = router.memory
  const i = loadRecord(0, 1) * (shards.recordBytes >> 2)
  shards.i32[i + SHARD_LOAD.limit] = 8
  shards.i32[i + SHARD_LOAD.held + 1] = 3
  shards.i32[i + SHARD_LOAD.held + 2] = 2
  shards.i32[i + SHARD_LOAD.waiting + 2] = 6
  const [alpha, beta] = recordsOf(showShards, router)
  assert.deepEqual([alpha?.lag_bytes, alpha?.lag_ms, alpha?.slots], [null, null, 0])
  assert.deepEqual(
    { ...beta },
    {
      ...beta,
      ...{ health: 'overloaded', held: 5, waiting: 6, slots: 8, answer_ms: 3.1 },
      ...{ pg_active: 4, pg_idle: 30, pg_in_xact: 2, pg_hidden: 1, pg_connections: 38, pg_max_connections: 97 },
      ...{ lag_bytes: 1000, lag_ms: 40, xact_per_s: 12.3, mean_active: 3.9 },
    },
  )
  // What the position watch has just found is younger than samples.
  shards.f64[(shards.recordBytes >> 3) + SHARD_STATE_F64.freshAt] = router.now - 100
  shards.f64[(shards.recordBytes >> 3) + SHARD_STATE_F64.lagBytes] = 16
  assert.equal(recordsOf(showShards, router)[1]?.lag_bytes, 16)
})

test('what is done on a shard for higher tiers is shown with the tiers that it concerns', () => {
  const router = new TestRouter()
  const { shards } = router.memory
  const i = loadRecord(0, 0) * (shards.recordBytes >> 2)
  shards.i32[i + SHARD_LOAD.limit] = 8
  shards.i32[i + SHARD_LOAD.waiting + 2] = 6
  const keepsReserved = [true, false, false, false]
  const adjustment = { step: 'shrink', reason: 'tier high waits', keepsReserved, most: [null, null, 4, 2] }
  const [alpha, beta] = router.shards
  router.shards = [{ ...alpha!, adjustment }, beta!]
  assert.deepEqual(
    recordsOf(showShards, router).map(({ adjusted }) => adjusted),
    ['shrink', null],
  )
  const why = 'shrink: tier high waits'
  assert.deepEqual(
    recordsOf(showSlots, router).map(({ tier, adjusted }) => [tier, adjusted]),
    [
      ['high', why],
      ['medium', null],
      ['low', why],
      ['background', why],
    ],
  )
  assert.deepEqual(
    recordsOf(showQueues, router).map(({ tier }) => tier),
    ['low'],
  )
  assert.deepEqual(
    recordsOf(showTiers, router).map(({ adjusted }) => adjusted),
    ['alpha: protected', null, 'alpha: at most 4', 'alpha: at most 2'],
  )
})
