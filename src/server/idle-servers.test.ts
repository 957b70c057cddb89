import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openPool } from './server-pool.fixture.ts'

test('one connection that is lost makes the others prove that they are alive', (t) => {
  const { host, shard, pool, request } = openPool(t, { size: 3 })
  const waiters = ['a', 'b', 'c'].map(request)
  for (const waiter of waiters) waiter.giveBack()
  host.pass(10)
  shard.backends[0]?.close()
  host.settle()
  assert.equal(pool.size, 2)
  // The others have died with it, and have not said so yet.
  shard.onQuery = (backend) => backend.close()
  const late = request('late')
  assert.equal(shard.backends.filter(({ closed }) => closed).length, 3, 'neither was given out untested')
  host.settle()
  assert.equal(late.server?.state, 'active')
  assert.equal(shard.open.length, 1)
})

test('what was given back since then has proved it', (t) => {
  const { host, shard, request } = openPool(t, { size: 2 })
  const [lost, used] = [request('lost'), request('used')]
  lost.giveBack()
  host.pass(10)
  shard.backends[0]?.close()
  host.settle()
  used.giveBack()
  assert.deepEqual(shard.open[0]?.queries, [])
  assert.notEqual(request('next').server, null)
  assert.deepEqual(shard.open[0]?.queries, [], 'nothing is asked')
})

test('of those that are idle the oldest is the first to go', (t) => {
  const { host, shard, pool, request } = openPool(t, { size: 3 })
  const waiters = ['a', 'b', 'c'].map(request)
  for (const index of [1, 0, 2]) {
    waiters[index]?.giveBack()
    host.pass(10)
  }
  assert.equal(pool.evictIdle(), true)
  host.settle()
  assert.deepEqual(
    shard.backends.map(({ closed }) => closed),
    [false, true, false],
  )
})
