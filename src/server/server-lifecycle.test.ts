import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { TestWaiter } from './server-host.fixture.ts'
import { openPool, type PoolBench } from './server-pool.fixture.ts'
import type { TestBackend } from './shard-peer.fixture.ts'

interface Bench extends PoolBench {
  readonly client: TestWaiter
  readonly server: NonNullable<TestWaiter['server']>
  readonly backend: TestBackend
}

/** A pool of one, whose connection a client has. */
function open(t: TestContext): Bench {
  const bench = openPool(t, { size: 1 })
  const client = bench.request('a')
  const [backend] = bench.shard.backends
  assert.ok(client.server !== null && backend !== undefined)
  return { ...bench, client, server: client.server, backend }
}

test('what the state does not allow names both states and changes nothing', (t) => {
  const { host, client, server } = open(t)
  assert.throws(() => server.attach(client, 5), /server connection: active while active/)
  assert.throws(() => server.life.test(), /tested while active/)
  client.giveBack()
  assert.throws(() => server.detach(), /idle while idle/)
  assert.equal(server.state, 'idle')
  server.close('over')
  assert.throws(() => server.life.listen(), /listening while closing/)
  host.settle()
})

test('what its last client left is rolled back and discarded before somebody else gets it', (t) => {
  const { host, shard, pool, server, backend } = open(t)
  shard.onQuery = () => {}
  server.noteStatus(0x54)
  server.detachAndReset()
  host.settle()
  assert.deepEqual([server.state, pool.idle, backend.queries], ['resetting', 0, ['ROLLBACK', 'DISCARD ALL']])
  backend.ready()
  host.settle()
  assert.equal(server.state, 'resetting', 'the second answer is still to come')
  backend.ready()
  host.settle()
  assert.deepEqual([server.state, pool.idle], ['idle', 1])
})

test('channels that its last client listened to are forgotten first, and nothing else', (t) => {
  const { host, shard, client, server, backend } = open(t)
  shard.onQuery = () => {}
  server.listens = true
  client.giveBack()
  host.settle()
  assert.deepEqual([server.state, backend.queries], ['unlistening', ['UNLISTEN *']])
  backend.ready()
  host.settle()
  assert.deepEqual([server.state, server.listens], ['idle', false])
})

test('a question of ours that is not answered in time ends it, an answered one does not', (t) => {
  const { host, shard, server, backend } = open(t)
  host.timeouts = { ...host.timeouts, serverConnectMs: 1000 }
  shard.onQuery = () => {}
  server.detachAndReset()
  host.settle()
  backend.ready()
  host.settle()
  host.pass(2000)
  assert.equal(server.state, 'idle')
  server.life.test()
  host.pass(2000)
  assert.equal(server.state, 'closing')
  assert.match(host.logged.join('\n'), /no answer from the shard while tested within the time allowed/)
})

test('with a cancel request on its way it is nobody’s, also behind a reset', (t) => {
  const { host, pool, server } = open(t)
  server.life.beginCancel()
  server.detachAndReset()
  host.settle()
  assert.deepEqual([server.state, pool.idle, server.life.isCancelling], ['cancelling', 0, true])
  server.life.endCancel()
  assert.deepEqual([server.state, pool.idle, server.life.isCancelling], ['idle', 1, false])
})
