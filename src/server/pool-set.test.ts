import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { readPool } from '../memory/pool-records.ts'
import type { Shard } from '../shard/topology.ts'
import { NO_ADMISSION } from './pool-admission.ts'
import type { PoolKey } from './pool-key.ts'
import { PoolSet, type QuotaLimits } from './pool-set.ts'
import { openServerHost, type TestServerHost, TestWaiter } from './server-host.fixture.ts'
import type { ServerPool } from './server-pool.ts'
import { TestShard } from './shard-peer.fixture.ts'

interface KeyOptions {
  readonly database?: string
  readonly user?: string
  readonly serverUser?: string
  readonly shard?: Shard
}

interface Bench {
  readonly host: TestServerHost
  readonly shard: TestShard
  readonly set: PoolSet
  readonly story: string[]
  /** The pool of this user in this database, for at most 10 connections. */
  pool(options?: KeyOptions): ServerPool
  request(name: string, pool: ServerPool): TestWaiter
}

function open(t: TestContext, limits: Partial<QuotaLimits> = {}, maxConnections = 100): Bench {
  const host = openServerHost(t)
  const shard = new TestShard(host.poller)
  const set = new PoolSet(host, { maxUserConnections: 0, maxDatabaseConnections: 0, ...limits }, () => NO_ADMISSION)
  const story: string[] = []
  t.after(() => {
    set.pause(null)
    for (const pool of set.all) pool.kill('test is over')
    shard.close()
    assert.equal(host.freeSlots.length, 16, 'every server slot is free again')
  })
  const pool = (options: KeyOptions = {}): ServerPool => {
    const { database = 'shop', user = 'ada', serverUser = user } = options
    const credential = { scram: null, password: null, md5Hash: null }
    const to = options.shard ?? shard.value(0, maxConnections)
    const key: PoolKey = {
      database,
      user,
      mode: 'transaction',
      target: { shard: to, user: serverUser, database: `${database}_db`, credential, startup: [] },
    }
    return set.get(key, { size: 10, minSize: 0 })
  }
  const request = (name: string, from: ServerPool): TestWaiter => {
    const waiter = new TestWaiter(host, name, story)
    const server = from.checkout(1)
    if (server === null) from.wait(waiter)
    else waiter.onServer(server)
    host.settle()
    return waiter
  }
  return { host, shard, set, story, pool, request }
}

test('clients share a pool when shard, database, user and login are the same, and only then', (t) => {
  const { shard, set, pool } = open(t)
  const one = pool()
  assert.equal(pool(), one)
  const others = [
    pool({ database: 'till' }),
    pool({ user: 'bob' }),
    pool({ serverUser: 'app' }),
    pool({ shard: shard.value(1) }),
  ]
  assert.equal(new Set([one, ...others]).size, 5)
  assert.equal([...set.all].length, 5)
})

test('names cannot be put together so that two pools become one', (t) => {
  const { pool } = open(t)
  assert.notEqual(pool({ database: 'a","b', user: 'c' }), pool({ database: 'a', user: 'b","c' }))
})

test('a pool’s record says what it is, for those who look from outside', (t) => {
  const { host, pool } = open(t)
  pool()
  const second = pool({ user: 'bob', serverUser: 'app' })
  const view = readPool(host.pools, second.record)
  assert.deepEqual(
    [second.record, view?.plane, view?.shardId, view?.size, view?.mode, view?.paused],
    [1, 0, 0, 10, 'transaction', false],
  )
  assert.deepEqual(
    [view?.database, view?.user, view?.shard, view?.serverDatabase, view?.serverUser],
    ['shop', 'bob', 'db0', 'shop_db', 'app'],
  )
})

test('a pool that has nothing gives its record to one more than there are records', (t) => {
  const { host, set, pool, request } = open(t)
  const pools = Array.from({ length: 8 }, (_, user) => pool({ user: `user ${user}` }))
  for (const index of [0, 1, 3, 4, 5, 6, 7]) request('a', pools[index] as ServerPool).giveBack()
  const before = host.poolChanges
  const newcomer = pool({ user: 'one more' })
  assert.equal(newcomer.record, 2)
  assert.equal(readPool(host.pools, 2)?.user, 'one more')
  // Whoever remembers the old one is told to ask again.
  assert.equal(host.poolChanges, before + 1)
  assert.deepEqual([[...set.all].length, [...set.all].includes(pools[2] as ServerPool)], [8, false])
  assert.equal(pool({ user: 'user 3' }), pools[3])
})

test('when every pool is in use, one more is an error for a client, and those that exist go on', (t) => {
  const { host, pool, request } = open(t)
  const pools = Array.from({ length: 8 }, (_, user) => pool({ user: `user ${user}` }))
  for (const one of pools.slice(1)) request('a', one).giveBack()
  const paused = pools[0] as ServerPool
  paused.pause()
  // Somebody who waits is a use.
  request('b', paused)
  assert.throws(() => pool({ user: 'one too many' }), /all 8 pools of the router are in use/)
  assert.equal(pool({ user: 'user 3' }), pools[3])
  assert.equal(host.poolChanges, 0)
})

test('a pool asked for again takes the new target and the new size', (t) => {
  const { set, shard, pool } = open(t)
  const one = pool()
  const moved = { ...shard.value(), host: 'elsewhere' }
  assert.equal(pool({ shard: moved }), one)
  assert.equal(one.target.shard, moved)
  set.get({ database: 'shop', user: 'ada', mode: 'transaction', target: one.target }, { size: 3, minSize: 1 })
  assert.deepEqual(one.settings, { size: 3, minSize: 1 })
})

test('a paused database pauses its pools, those made later too, and no others', (t) => {
  const { set, pool } = open(t)
  const [before, other] = [pool(), pool({ database: 'till' })]
  set.pause('shop')
  const after = pool({ user: 'bob' })
  assert.deepEqual([before.paused, after.paused, other.paused], [true, true, false])
  assert.deepEqual([set.isPaused('shop'), set.isPaused('till')], [true, false])
  set.resume('shop')
  assert.deepEqual([before.paused, after.paused], [false, false])
})

test('a pause of all is over with a resume of all, which ends the pauses of databases too', (t) => {
  const { set, pool } = open(t)
  const shop = pool()
  set.pause('shop')
  set.pause(null)
  const till = pool({ database: 'till' })
  assert.deepEqual([shop.paused, till.paused], [true, true])
  set.resume(null)
  assert.deepEqual([shop.paused, till.paused, set.isPaused('shop')], [false, false, false])
})

type Quota = readonly [string, Partial<QuotaLimits>, number, KeyOptions, (shard: TestShard) => KeyOptions]
const quotas: readonly Quota[] = [
  ['a shard', {}, 2, { user: 'bob', database: 'till' }, (shard) => ({ shard: shard.value(1) })],
  ['a user', { maxUserConnections: 2 }, 100, { database: 'till' }, () => ({ user: 'bob' })],
  ['a database', { maxDatabaseConnections: 2 }, 100, { user: 'bob' }, () => ({ database: 'till' })],
]

for (const [what, limits, maxConnections, within, without] of quotas) {
  test(`the limit of ${what} holds over all pools that it is about, and for no others`, (t) => {
    const { host, shard, pool, story, request } = open(t, limits, maxConnections)
    const [a, b] = [request('a', pool()), request('b', pool())]
    request('c', pool(within))
    assert.deepEqual([story, pool().size, pool(within).size], [['a', 'b'], 2, 0])
    assert.equal(request('d', pool(without(shard))).server?.state, 'active')
    // In use, nobody gives way; idle, it does, at once.
    assert.equal(pool(within).waiting, 1)
    a.giveBack()
    pool(within).reconsider()
    host.settle()
    assert.equal(story.at(-1), 'c')
    assert.deepEqual([pool().size, pool(within).size, b.server?.state], [1, 1, 'active'])
  })
}

test('room that comes up in one pool is used by the one that waits for it', (t) => {
  const { host, shard, story, pool, request } = open(t, {}, 1)
  request('a', pool())
  request('b', pool({ user: 'bob' }))
  assert.deepEqual(story, ['a'])
  shard.backends[0]?.close()
  host.settle()
  assert.deepEqual([story, pool().size, pool({ user: 'bob' }).size], [['a', 'b'], 0, 1])
})

test('the pool with the longest idle connection gives way', (t) => {
  const { host, pool, request } = open(t, {}, 3)
  const users = ['ada', 'bob', 'eve']
  const waiters = users.map((user) => request(user, pool({ user })))
  for (const at of [1, 0, 2]) {
    waiters[at]?.giveBack()
    host.pass(100)
  }
  const newcomer = request('joe', pool({ user: 'joe' }))
  assert.equal(newcomer.server?.state, 'active')
  assert.deepEqual(
    users.map((user) => pool({ user }).size),
    [1, 0, 1],
  )
})

test('the limits of the shard count as the topology has them now', (t) => {
  const { shard, story, pool, request, host } = open(t, {}, 1)
  request('a', pool())
  request('b', pool())
  assert.deepEqual(story, ['a'])
  const one = pool({ shard: shard.value(0, 2) })
  one.reconsider()
  host.settle()
  assert.deepEqual([story, one.size], [['a', 'b'], 2])
})

test('connections to a shard where nobody is sent any more are given up', (t) => {
  const { host, set, shard, pool, request } = open(t)
  request('a', pool()).giveBack()
  request('b', pool({ user: 'bob' })).giveBack()
  const active = request('c', pool())
  set.abandonMisplaced((one) => one.id === 1)
  assert.equal(shard.open.length, 2)
  set.abandonMisplaced((one) => one.id === 0)
  host.settle()
  assert.deepEqual([pool().size, pool({ user: 'bob' }).size, active.server?.state], [1, 0, 'active'])
  active.giveBack()
  assert.equal(pool().size, 0)
})

test('new sizes reach every pool that they are about', (t) => {
  const { set, pool } = open(t)
  const [shop, till] = [pool(), pool({ database: 'till' })]
  set.resize((key) => (key.database === 'till' ? { size: 3, minSize: 1 } : null))
  assert.deepEqual([shop.settings.size, till.settings], [10, { size: 3, minSize: 1 }])
})

test('upkeep reaches every pool', (t) => {
  const { host, set, pool, request } = open(t)
  host.timeouts = { ...host.timeouts, serverIdleMs: 1000 }
  request('a', pool()).giveBack()
  request('b', pool({ user: 'bob' })).giveBack()
  host.pass(2000)
  set.maintain(host.now)
  assert.deepEqual(
    [...set.all].map(({ size }) => size),
    [0, 0],
  )
})
