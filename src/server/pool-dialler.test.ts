import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ErrorFields } from '../protocol/messages.ts'
import { openPool, poolTotal } from './server-pool.fixture.ts'

const refusal = (sqlstate: string, message = 'no'): ErrorFields => ({ severity: 'FATAL', sqlstate, message })

test('a shard that stays away is said once, and again when the reason is another one or half a minute has gone by', (t) => {
  const { host, shard, request } = openPool(t)
  shard.behaviour = { kind: 'refuse', fields: refusal('57P03', 'starting up') }
  request('a')
  const retry = (milliseconds: number): void => {
    host.pass(milliseconds)
    host.settle()
  }
  for (let attempt = 0; attempt < 5; attempt++) retry(1100)
  assert.equal(host.logged.length, 1)
  shard.behaviour = { kind: 'refuse', fields: refusal('57P03', 'shutting down') }
  retry(1100)
  assert.equal(host.logged.length, 2)
  retry(31_000)
  assert.equal(host.logged.length, 3)
  shard.behaviour = { kind: 'serve' }
  retry(1100)
})

test('each attempt is counted, by what became of it, and the shard is suspected of each that may heal', (t) => {
  const bench = openPool(t)
  const { host, shard, request } = bench
  shard.behaviour = { kind: 'refuse', fields: refusal('57P03') }
  request('a')
  assert.deepEqual([poolTotal(bench, 'serverConnects'), poolTotal(bench, 'serverConnectFailures')], [1, 1])
  assert.equal(host.suspected.length, 1)
  shard.behaviour = { kind: 'refuse', fields: refusal('28P01') }
  host.pass(1100)
  host.settle()
  assert.deepEqual([poolTotal(bench, 'serverConnects'), poolTotal(bench, 'serverLoginFailures')], [2, 1])
  assert.equal(host.suspected.length, 1, 'a shard that knows no such password is well')
})

for (const sqlstate of ['28P01', '3D000', '42501', '55000']) {
  test(`${sqlstate} is told to all who wait, for waiting heals nothing`, (t) => {
    const { host, shard, request } = openPool(t, { size: 1 })
    shard.behaviour = { kind: 'hang' }
    const waiters = [request('a'), request('b')]
    assert.deepEqual(
      waiters.map(({ failed }) => failed),
      [null, null],
    )
    shard.behaviour = { kind: 'refuse', fields: refusal(sqlstate) }
    shard.backends[0]?.close()
    host.settle()
    host.pass(1100)
    host.settle()
    assert.deepEqual(
      waiters.map(({ failed }) => failed?.sqlstate),
      [sqlstate, sqlstate],
    )
  })
}

test('a pool that could open none may be tried by who has another place to go after five seconds, or a success', (t) => {
  const { host, shard, pool, request } = openPool(t)
  assert.equal(pool.isOpen, true)
  shard.behaviour = { kind: 'refuse', fields: refusal('28P01') }
  request('a')
  assert.equal(pool.isOpen, false)
  host.pass(4900)
  assert.equal(pool.isOpen, false)
  host.pass(200)
  assert.equal(pool.isOpen, true)
  shard.behaviour = { kind: 'serve' }
  request('b')
  assert.deepEqual([pool.isOpen, pool.lastFailure], [true, null])
})

test('connections on their way count: nobody dials twice for the same client', (t) => {
  const { shard, pool, request } = openPool(t, { size: 5 })
  shard.behaviour = { kind: 'hang' }
  for (const name of ['a', 'b', 'c']) request(name)
  assert.equal(shard.backends.length, 3)
  pool.reconsider()
  assert.equal(pool.size, 3)
})
