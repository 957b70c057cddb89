import assert from 'node:assert/strict'
import { test } from 'node:test'
import { recordsOf, TestRouter, writePool, writeServer } from '../../router-control.fixture.ts'
import { showShards } from './show-shards.ts'

test('a shard is shown with its health, connections of all its pools and totals', () => {
  const router = new TestRouter()
  writePool(router, 0, { shard: 'alpha', user: 'alice', transactions: 10 })
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
