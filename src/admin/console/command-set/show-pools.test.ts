import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CLIENT_FLAG, PIN } from '../../../memory/client-slots.ts'
import { recordsOf, TestRouter, testUser } from '../../router-control.fixture.ts'
import { writeClient, writePool, writeServer } from '../../router-memory.fixture.ts'
import { showPools } from './show-pools.ts'

test('clients and servers are counted in the pool they belong to', () => {
  const router = new TestRouter()
  writePool(router, 0)
  writeClient(router, 0, 'active', { pool: 1 })
  writeClient(router, 1, 'idle', { pool: 1, pins: PIN.listen })
  writeClient(router, 2, 'waiting', { pool: 1, waitingSince: router.now - 1_250 })
  writeClient(router, 3, 'waiting', { pool: 1, waitingSince: router.now - 100 })
  const states = ['active', 'idle', 'idle', 'connecting', 'login', 'tested', 'resetting', 'cancelling'] as const
  states.forEach((state, slot) => {
    writeServer(router, slot, state)
  })
  const [row, ...others] = recordsOf(showPools, router)
  assert.equal(others.length, 0)
  assert.deepEqual(
    { ...row },
    {
      ...row,
      database: 'app',
      user: 'alice',
      cl_active: 2,
      cl_waiting: 2,
      sv_active: 1,
      sv_idle: 2,
      sv_login: 2,
      sv_tested: 2,
      sv_being_canceled: 1,
      sv_used: 0,
      maxwait: 1,
      maxwait_us: 250_000,
      pool_mode: 'transaction',
      shard: 'alpha',
      cl_idle: 1,
      cl_pinned: 1,
      pool_size: 20,
      paused: false,
    },
  )
})

test('records of several planes for the same pool make one row', () => {
  const router = new TestRouter()
  writePool(router, 0, { plane: 0, size: 8 })
  writePool(router, 1, { plane: 1, size: 12, paused: 1 })
  const rows = recordsOf(showPools, router)
  assert.equal(rows.length, 1)
  assert.equal(rows[0]?.pool_size, 20)
  assert.equal(rows[0]?.paused, true)
})

test('clients that no query has routed yet have a row without a shard, in the mode that will apply', () => {
  const router = new TestRouter()
  router.users = [{ ...testUser('alice'), poolMode: 'session' }]
  writeClient(router, 0, 'idle')
  const [row] = recordsOf(showPools, router)
  assert.equal(row?.shard, null)
  assert.equal(row?.cl_active, 1)
  assert.equal(row?.pool_mode, 'session')
})

test('names of clients that have not authenticated are not shown', () => {
  const router = new TestRouter()
  writeClient(router, 0, 'login', { user: 'root', database: 'guess' })
  assert.deepEqual(recordsOf(showPools, router), [])
})

test('console clients are a pool of their own, never pinned', () => {
  const router = new TestRouter()
  writeClient(router, 0, 'active', { database: 'switchyard', flags: CLIENT_FLAG.console, pins: PIN.console })
  const [row] = recordsOf(showPools, router)
  assert.deepEqual([row?.database, row?.pool_mode, row?.cl_pinned], ['switchyard', 'statement', 0])
})

test('rows are sorted by database, user and shard', () => {
  const router = new TestRouter()
  writePool(router, 0, { database: 'b' })
  writePool(router, 1, { database: 'a', shard: 'beta' })
  writePool(router, 2, { database: 'a', shard: 'alpha' })
  assert.deepEqual(
    recordsOf(showPools, router).map((row) => `${row.database}/${row.shard}`),
    ['a/alpha', 'a/beta', 'b/alpha'],
  )
})
