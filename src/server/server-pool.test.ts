import assert from 'node:assert/strict'
import { test } from 'node:test'
import { POOL } from '../memory/pool-records.ts'
import { TestWaiter } from './server-host.fixture.ts'
import { openPool, poolTotal } from './server-pool.fixture.ts'

test('a client that waits gets a server connection opened for it, logged in as the target says', (t) => {
  const bench = openPool(t)
  const { shard, pool, request } = bench
  assert.equal(pool.checkout(1), null)
  const waiter = request('a')
  assert.equal(waiter.server?.state, 'active')
  assert.deepEqual(Object.fromEntries(shard.backends[0]?.parameters ?? []), { user: 'ada', database: 'shop' })
  assert.deepEqual([pool.size, pool.idle, pool.busy, pool.waiting], [1, 0, 1, 0])
  assert.equal(pool.welcome?.reported.get('server_version'), '18.4')
  assert.equal(poolTotal(bench, 'serverConnects'), 1)
})

test('a connection given back is given out again, and no other one is opened', (t) => {
  const { shard, pool, request } = openPool(t)
  const first = request('a')
  const { server } = first
  first.giveBack()
  assert.equal(pool.checkout(1), server)
  assert.equal(shard.backends.length, 1)
})

test('the connection used last is given out first', (t) => {
  const { pool, request } = openPool(t)
  const [a, b] = [request('a'), request('b')]
  const [older, newer] = [a.server, b.server]
  a.giveBack()
  b.giveBack()
  assert.deepEqual([pool.checkout(1), pool.checkout(1), pool.checkout(1)], [newer, older, null])
})

test('clients are served in the order in which they came, and a newcomer does not overtake', (t) => {
  const { pool, story, request } = openPool(t, { size: 1 })
  const first = request('a')
  const [b, c, d] = ['b', 'c', 'd'].map(request)
  assert.ok(b && c && d)
  pool.leave(c)
  assert.deepEqual([pool.waiting, story], [2, ['a']])
  first.giveBack()
  assert.equal(pool.checkout(1), null)
  b.giveBack()
  assert.deepEqual(story, ['a', 'b', 'd'])
  assert.equal(pool.waiting, 0)
})

test('who has been in line before keeps its time, everybody else gets in line now', (t) => {
  const { host, pool, request } = openPool(t, { size: 1 })
  const first = request('a')
  const [kept, later] = [new TestWaiter(host, 'b'), new TestWaiter(host, 'c')]
  kept.waitingSince = 300
  pool.wait(kept)
  pool.wait(later)
  assert.deepEqual([kept.waitingSince, later.waitingSince], [300, host.now])
  first.giveBack()
  assert.deepEqual([kept.server?.state, kept.waitingSince], ['active', 0])
})

test('never more connections than the pool has room for, and none too many for those who wait', (t) => {
  const { shard, pool, host } = openPool(t, { size: 3 })
  for (const name of ['a', 'b']) pool.wait(new TestWaiter(host, name))
  host.settle()
  assert.equal(shard.backends.length, 2)
  for (const name of 'cdefgh') pool.wait(new TestWaiter(host, name))
  host.settle()
  assert.deepEqual([shard.backends.length, pool.size, pool.waiting], [3, 3, 5])
})

test('without a free server slot nothing is opened, and the client goes on waiting', (t) => {
  const { shard, pool, request } = openPool(t, { serverSlots: 1 })
  const first = request('a')
  request('b')
  assert.deepEqual([shard.backends.length, pool.waiting], [1, 1])
  first.giveBack()
  assert.equal(pool.waiting, 0)
})

test('a shard that is away is tried again while clients wait, not before its time', (t) => {
  const bench = openPool(t)
  const { host, shard, pool, request } = bench
  shard.stopListening()
  const waiter = request('a')
  assert.deepEqual([pool.waiting, pool.size, poolTotal(bench, 'serverConnectFailures')], [1, 0, 1])
  assert.equal(pool.lastFailure?.sqlstate, '08001')
  assert.match(pool.lastFailure?.message ?? '', /^cannot connect to shard "db0": connect: ECONNREFUSED$/)
  assert.deepEqual(host.suspected, ['0 connect: ECONNREFUSED'])
  shard.listenAgain()
  request('b')
  host.pass(900)
  host.settle()
  assert.equal(shard.backends.length, 0)
  host.pass(200)
  host.settle()
  assert.equal(waiter.server?.state, 'active')
  assert.equal(pool.lastFailure, null)
})

test('a refusal that passes is no reason to fail anybody', (t) => {
  const { host, shard, pool, request } = openPool(t)
  const fields = { severity: 'FATAL', sqlstate: '53300', message: 'sorry, too many clients already' } as const
  shard.behaviour = { kind: 'refuse', fields }
  const waiter = request('a')
  assert.deepEqual([waiter.failed, pool.waiting, pool.lastFailure?.message], [null, 1, fields.message])
  shard.behaviour = { kind: 'serve' }
  host.pass(1100)
  host.settle()
  assert.equal(waiter.server?.state, 'active')
})

for (const [sqlstate, message] of [
  ['28P01', 'password authentication failed for user "ada"'],
  ['3D000', 'database "shop" does not exist'],
  ['42501', 'permission denied for database "shop"'],
] as const) {
  test(`a refusal for good (${sqlstate}) fails everybody who waits, and the next one is tried at once`, (t) => {
    const bench = openPool(t, { size: 1 })
    const { shard, pool, story, request, host } = bench
    shard.behaviour = { kind: 'refuse', fields: { severity: 'FATAL', sqlstate, message } }
    for (const name of ['a', 'b']) pool.wait(new TestWaiter(host, name, story))
    host.settle()
    assert.deepEqual(story, ['a failed', 'b failed'])
    assert.deepEqual([pool.waiting, poolTotal(bench, 'serverLoginFailures'), host.suspected], [0, 1, []])
    assert.deepEqual(pool.lastFailure?.message, message)
    shard.behaviour = { kind: 'serve' }
    assert.equal(request('c').server?.state, 'active')
  })
}

test('a shard that accepts and says nothing is given up when its time is over', (t) => {
  const bench = openPool(t)
  const { host, shard, pool, request } = bench
  host.timeouts = { ...host.timeouts, serverConnectMs: 5000 }
  shard.behaviour = { kind: 'hang' }
  const waiter = request('a')
  host.pass(4900)
  assert.equal(pool.size, 1)
  host.pass(200)
  assert.deepEqual([pool.size, pool.waiting, waiter.failed], [0, 1, null])
  assert.match(host.logged.at(-1) ?? '', /no answer from the shard while login within the time allowed/)
})

test('a connection that dies while idle is forgotten, and nobody is told', (t) => {
  const { host, shard, pool, request } = openPool(t)
  const waiter = request('a')
  waiter.giveBack()
  shard.backends[0]?.close()
  host.settle()
  assert.deepEqual([pool.size, pool.idle, waiter.lost], [0, 0, null])
  assert.equal(request('b').server?.state, 'active')
})

test('a connection that dies in use is replaced for those who wait', (t) => {
  const { host, shard, pool, story, request } = openPool(t, { size: 1 })
  const first = request('a')
  request('b')
  shard.backends[0]?.close()
  host.settle()
  assert.equal(first.lost?.reason, 'the server closed the connection')
  assert.deepEqual([story, pool.size], [['a', 'b'], 1])
})

test('a connection that was idle for long proves that it is alive before somebody gets it', (t) => {
  const { host, shard, pool, request } = openPool(t, { size: 1 })
  host.timeouts = { ...host.timeouts, serverCheckMs: 30_000 }
  const first = request('a')
  const { server } = first
  first.giveBack()
  host.pass(29_000)
  assert.equal(pool.checkout(1), server)
  first.take(server as NonNullable<typeof server>)
  first.giveBack()
  host.pass(30_000)
  const second = request('b')
  assert.deepEqual(shard.backends[0]?.queries, [''])
  assert.equal(second.server, server)
})

test('a connection that died unseen while it was idle costs its test, and the client gets another one', (t) => {
  const { host, shard, pool, story, request } = openPool(t, { size: 1 })
  host.timeouts = { ...host.timeouts, serverCheckMs: 30_000, serverConnectMs: 5000 }
  request('a').giveBack()
  shard.onQuery = () => {}
  host.pass(31_000)
  request('b')
  assert.deepEqual([story, pool.waiting, shard.backends.length], [['a'], 1, 1])
  host.pass(5100)
  host.settle()
  assert.deepEqual([story, pool.waiting, shard.backends.length, pool.size], [['a', 'b'], 0, 2, 1])
})

test('paused, nobody gets a connection and none is opened; resumed, those who waited are served in order', (t) => {
  const { host, shard, pool, story, request } = openPool(t)
  const first = request('a')
  pool.pause()
  assert.deepEqual([pool.paused, host.pools.i32[POOL.paused]], [true, 1])
  first.giveBack()
  assert.equal(pool.checkout(1), null)
  request('b')
  request('c')
  assert.deepEqual([story, shard.backends.length], [['a'], 1])
  pool.resume()
  host.settle()
  assert.deepEqual([story, shard.backends.length, host.pools.i32[POOL.paused]], [['a', 'b', 'c'], 2, 0])
})

test('retired, idle connections close at once and the others when they are given back', (t) => {
  const { host, shard, pool, request } = openPool(t)
  const [a, b] = [request('a'), request('b')]
  b.giveBack()
  pool.retire('RECONNECT')
  host.settle()
  assert.deepEqual([pool.size, shard.open.length, shard.backends[1]?.terminated], [1, 1, true])
  assert.equal(a.server?.state, 'active')
  a.giveBack()
  host.settle()
  assert.deepEqual([pool.size, shard.open.length], [0, 0])
  // Those opened afterwards live on.
  request('c').giveBack()
  assert.equal(pool.idle, 1)
})

test('retired while it is on its way, a connection is closed when it is there, and another one is opened', (t) => {
  const { host, shard, pool, story } = openPool(t, { size: 1 })
  pool.wait(new TestWaiter(host, 'a', story))
  pool.retire('RECONNECT')
  host.settle()
  assert.deepEqual([story, pool.size, shard.backends.length, shard.backends[0]?.closed], [['a'], 1, 2, true])
})

test('a shard that cannot even be dialled is one that is away', (t) => {
  const bench = openPool(t)
  const { host, shard, pool, request } = bench
  pool.target = { ...pool.target, shard: { ...shard.value(), address: null } }
  const waiter = request('a')
  assert.deepEqual([pool.size, pool.waiting, host.freeSlots.length], [0, 1, 16])
  assert.match(pool.lastFailure?.message ?? '', /^resolve db0/)
  assert.equal(poolTotal(bench, 'serverConnectFailures'), 1)
  pool.target = { ...pool.target, shard: shard.value() }
  host.pass(1100)
  host.settle()
  assert.equal(waiter.server?.state, 'active')
})

test('killed, connections in use close too, and their clients are told', (t) => {
  const { host, shard, pool, request } = openPool(t)
  const waiter = request('a')
  pool.kill('KILL')
  host.settle()
  assert.deepEqual([pool.size, shard.open.length, waiter.lost?.reason], [0, 0, 'KILL'])
})

test('those who are dismissed are out of the queue, in order', (t) => {
  const { pool, request } = openPool(t, { size: 1 })
  request('a')
  const [b, c] = [request('b'), request('c')]
  assert.deepEqual(pool.dismissWaiters(), [b, c])
  assert.deepEqual([pool.waiting, b.fifo, c.fifo], [0, null, null])
})

test('only those who still wait are asked whether they have a better place', (t) => {
  const { shard, pool, request } = openPool(t)
  shard.behaviour = { kind: 'hang' }
  const [one, two, three] = [request('a'), request('b'), request('c')]
  const asked: string[] = []
  one.reroute = () => pool.leave(two)
  for (const waiter of [two, three]) waiter.reroute = () => asked.push(waiter.name)
  pool.reroute()
  assert.deepEqual(asked, ['c'])
})
