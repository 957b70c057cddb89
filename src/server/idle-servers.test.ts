import assert from 'node:assert/strict'
import { test } from 'node:test'
import { IdleServers } from './idle-servers.ts'
import type { ServerConnection } from './server-connection.ts'
import { openServerHost } from './server-host.fixture.ts'
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

test('who needs another share of the CPU gets one that has it, where there is any', (t) => {
  const [MEDIUM, LOW] = [1, 2]
  const host = openServerHost(t)
  const idle = new IdleServers(host)
  const add = (dataDirectory: string | null): ServerConnection => {
    const server = { idleSince: host.now, target: { shard: { dataDirectory } } } as unknown as ServerConnection
    idle.add(server)
    return server
  }
  const [held, b, c] = ['/data', '/data', '/data'].map(add)
  host.cpuShares = { ...host.cpuShares, suits: (server, tier) => (server === held) === (tier === LOW) }
  assert.equal(idle.take(LOW), held)
  assert.equal(idle.take(LOW), c, 'none has it: the one used last')
  assert.equal(idle.take(MEDIUM), b)
  const elsewhere = add(null)
  assert.equal(idle.take(LOW), elsewhere)
  assert.equal(idle.take(LOW), null)
})
