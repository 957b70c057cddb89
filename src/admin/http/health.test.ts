import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TestRouter, testDatabase, testHealth, testShard } from '../router-control.fixture.ts'
import { writePlane } from '../router-memory.fixture.ts'
import { liveness, readiness } from './health.ts'

function healthyRouter(): TestRouter {
  const router = new TestRouter(16, 2)
  writePlane(router, 0)
  writePlane(router, 1)
  return router
}

test('a router is ready when every plane turns and every group has a primary that is up', () => {
  assert.deepEqual(readiness(healthyRouter()), { ok: true, reasons: [], troubles: [] })
})

test('a plane that is missing, stuck or draining makes the router unready', () => {
  const router = new TestRouter(16, 3)
  writePlane(router, 1, { turnedAt: router.now - 5_001 })
  writePlane(router, 2, { draining: 1, turnedAt: router.now - 5_000 })
  assert.deepEqual(readiness(router).reasons, [
    'Plane 0 has not started.',
    'Plane 1 has not turned for 5 s.',
    'Plane 2 is draining.',
  ])
})

test('a group without a primary that is up makes the router unready and says why', () => {
  const router = healthyRouter()
  router.shards = [{ ...testShard(0, 'alpha', 'primary'), up: false }, testShard(1, 'beta', 'replica', 'other')]
  router.databases = [testDatabase('app'), { ...testDatabase('shop'), group: 'third' }]
  router.shardHealth = [testHealth(0, { health: 'down', reason: 'connection refused' })]
  assert.deepEqual(readiness(router).reasons, [
    'The primary of the group "main", alpha, is down: connection refused.',
    'No primary of the group "other" is known.',
    'No primary of the group "third" is known.',
  ])
})

test('shards that are down are no reason to restart the router', () => {
  const router = healthyRouter()
  router.startedAt = 0
  router.shards = []
  assert.deepEqual(liveness(router), { ok: true, reasons: [], troubles: [] })
})

test('a plane that is gone for good is; other troubles are only told', () => {
  const router = healthyRouter()
  router.troubleList = ['Plane 0 is not connected.']
  router.startedAt = 0
  assert.deepEqual(liveness(router), { ok: true, reasons: [], troubles: ['Plane 0 is not connected.'] })
  writePlane(router, 1, { turnedAt: router.now - 31_000 })
  assert.deepEqual(liveness(router).reasons, ['Plane 1 has not turned for 31 s.'])
})

test('planes have half a minute to start', () => {
  const router = new TestRouter()
  router.startedAt = router.now - 29_000
  assert.equal(liveness(router).ok, true)
  router.startedAt = router.now - 30_000
  assert.deepEqual(liveness(router).reasons, ['Plane 0 has not started.'])
})
