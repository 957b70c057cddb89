import assert from 'node:assert/strict'
import { test } from 'node:test'
import { recordsOf, TestRouter } from '../../router-control.fixture.ts'
import { writePool, writeServer } from '../../router-memory.fixture.ts'
import { showListeners } from './show-listeners.ts'
import { showPools } from './show-pools.ts'
import { showServers } from './show-servers.ts'

test('a listening connection is shown with what it does, and the others are not', () => {
  const router = new TestRouter()
  writePool(router, 0)
  writeServer(router, 0, 'active')
  writeServer(router, 1, 'unlistening')
  const counts = { channels: 3, listeners: 20, notifications: 7, deliveries: 140 }
  writeServer(router, 2, 'listening', { backendPid: 4242, ...counts })
  const rows = recordsOf(showListeners, router)
  assert.equal(rows.length, 1)
  assert.deepEqual(rows[0], {
    ...rows[0],
    shard: 'alpha',
    server_database: 'app_prod',
    user: 'app_role',
    channels: 3,
    clients: 20,
    notifications: 7,
    deliveries: 140,
    remote_pid: 4242,
  })
  assert.deepEqual(
    recordsOf(showServers, router).map(({ state, step }) => `${state} ${step}`),
    ['active active', 'tested unlistening', 'active listening'],
  )
  const [pool] = recordsOf(showPools, router)
  assert.deepEqual(pool, { ...pool, sv_active: 1, sv_tested: 1, sv_listening: 1 })
})
