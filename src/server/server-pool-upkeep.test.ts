import assert from 'node:assert/strict'
import { test } from 'node:test'
import { POOL } from '../memory/pool-records.ts'
import { openPool, type PoolBench } from './server-pool.fixture.ts'

/** The same, once a second for as long. */
function maintain({ host, pool }: PoolBench, seconds: number): void {
  for (let second = 0; second < seconds; second++) {
    host.pass(1000)
    pool.maintain(host.now)
    host.settle()
  }
}

test('a connection that nobody used for long is closed politely, one that was used is not', (t) => {
  const bench = openPool(t)
  const { host, shard, pool, request } = bench
  host.timeouts = { ...host.timeouts, serverIdleMs: 10_000 }
  const [a, b] = [request('a'), request('b')]
  a.giveBack()
  b.giveBack()
  maintain(bench, 6)
  request('c').giveBack()
  maintain(bench, 6)
  // Given out is the one used last: the other grew old.
  assert.deepEqual([pool.size, shard.open.map(({ pid }) => pid)], [1, [1001]])
  assert.equal(shard.backends[0]?.terminated, true)
  maintain(bench, 6)
  assert.equal(pool.size, 0)
})

test('a connection in use is not idle, however long', (t) => {
  const bench = openPool(t)
  const { host, pool, request } = bench
  host.timeouts = { ...host.timeouts, serverIdleMs: 1000, serverLifetimeMs: 1000 }
  const waiter = request('a')
  maintain(bench, 5)
  assert.equal(pool.size, 1)
  // It is old when it is given back.
  waiter.giveBack()
  maintain(bench, 1)
  assert.equal(pool.size, 0)
})

test('a connection whose lifetime is over is closed when it is idle, and replaced to keep the minimum', (t) => {
  const bench = openPool(t, { minSize: 1 })
  const { host, shard, pool } = bench
  host.timeouts = { ...host.timeouts, serverLifetimeMs: 10_000 }
  maintain(bench, 9)
  assert.deepEqual([shard.backends.length, pool.idle], [1, 1])
  maintain(bench, 4)
  assert.deepEqual([shard.backends.length, shard.backends[0]?.closed, pool.idle], [2, true, 1])
})

test('the minimum is opened without any client, one a second, and idle time does not go below it', (t) => {
  const bench = openPool(t, { size: 5, minSize: 2 })
  const { host, shard, pool, request } = bench
  host.timeouts = { ...host.timeouts, serverIdleMs: 10_000 }
  maintain(bench, 1)
  assert.equal(pool.idle, 1)
  maintain(bench, 3)
  assert.equal(pool.idle, 2)
  for (const waiter of ['a', 'b', 'c', 'd'].map(request)) waiter.giveBack()
  assert.equal(pool.idle, 4)
  maintain(bench, 12)
  // Those that are left are of the first four: none was closed too many and opened again.
  assert.deepEqual([pool.idle, shard.open.length, shard.backends.length], [2, 2, 4])
})

test('the minimum is not opened while the pool is paused or the shard is to be left alone', (t) => {
  const bench = openPool(t, { minSize: 1 })
  const { host, shard, pool } = bench
  pool.pause()
  maintain(bench, 2)
  assert.equal(shard.backends.length, 0)
  pool.resume()
  shard.stopListening()
  host.timeouts = { ...host.timeouts, serverLoginRetryMs: 5000 }
  maintain(bench, 4)
  assert.equal(host.suspected.length, 1)
  shard.listenAgain()
  maintain(bench, 4)
  assert.equal(pool.idle, 1)
})

test('limits of 0 close nothing', (t) => {
  const bench = openPool(t)
  bench.request('a').giveBack()
  bench.host.pass(1e9)
  maintain(bench, 1)
  assert.equal(bench.pool.idle, 1)
})

test('a smaller pool gives up what is idle now and the rest as it is given back', (t) => {
  const bench = openPool(t, { size: 4 })
  const { host, shard, pool, request } = bench
  const [a, b, c, d] = ['a', 'b', 'c', 'd'].map(request)
  assert.ok(a && b && c && d)
  d.giveBack()
  pool.resize({ size: 2, minSize: 0 })
  host.settle()
  assert.deepEqual([pool.size, shard.open.length, host.pools.i32[POOL.size]], [3, 3, 2])
  c.giveBack()
  host.settle()
  assert.deepEqual([pool.size, pool.idle], [2, 0])
  a.giveBack()
  assert.deepEqual([pool.size, pool.idle], [2, 1])
})

test('a larger pool serves at once those who wait', (t) => {
  const { host, pool, story, request } = openPool(t, { size: 1 })
  for (const name of ['a', 'b', 'c']) request(name)
  pool.resize({ size: 3, minSize: 0 })
  host.settle()
  assert.deepEqual([story, pool.size], [['a', 'b', 'c'], 3])
})

test('an evicted connection is the one idle for longest, and none while somebody waits here', (t) => {
  const { host, shard, pool, request } = openPool(t)
  assert.equal(pool.evictIdle(), false)
  assert.equal(pool.oldestIdleSince, Number.POSITIVE_INFINITY)
  const [a, b] = [request('a'), request('b')]
  a.giveBack()
  const since = host.now
  host.pass(100)
  b.giveBack()
  assert.equal(pool.oldestIdleSince, since)
  assert.equal(pool.evictIdle(), true)
  host.settle()
  assert.deepEqual(
    shard.open.map(({ pid }) => pid),
    [1001],
  )
  pool.pause()
  request('c')
  assert.equal(pool.evictIdle(), false)
})

test('a quota that refuses leaves the client waiting until there is room', (t) => {
  let room = false
  const quota = { admit: () => room, released: () => {} }
  const { host, pool, story, request } = openPool(t, { quota })
  request('a')
  assert.deepEqual([pool.size, pool.waiting], [0, 1])
  room = true
  pool.reconsider()
  host.settle()
  assert.deepEqual([story, pool.waiting], [['a'], 0])
})

test('every connection that ends is told to the quota, because others may wait for the room', (t) => {
  const released: number[] = []
  const quota = { admit: () => true, released: (pool: { size: number }) => void released.push(pool.size) }
  const { host, shard, pool, request } = openPool(t, { quota })
  request('a')
  request('b').giveBack()
  shard.backends[0]?.close()
  host.settle()
  pool.retire('RECONNECT')
  assert.deepEqual(released, [1, 0])
})
