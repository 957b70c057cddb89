import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { ServerConnection } from '../server/server-connection.ts'
import type { TestWaiter } from '../server/server-host.fixture.ts'
import { ServerIdentity } from '../server/server-identity.ts'
import { openPool, type PoolBench } from '../server/server-pool.fixture.ts'
import type { TestBackend } from '../server/shard-peer.fixture.ts'
import { CancelRequest } from './cancel-request.ts'

interface Bench extends PoolBench {
  readonly client: TestWaiter
  readonly server: ServerConnection
  /** Cancel requests that came to the shard. */
  cancels(): readonly TestBackend[]
}

/** A pool of one, whose connection a client has, and a shard that takes its time with cancel requests. */
function open(t: TestContext): Bench {
  const bench = openPool(t, { size: 1 })
  const { shard, host } = bench
  host.timeouts = { ...host.timeouts, cancelMs: 5000 }
  shard.onCancel = () => {}
  const client = bench.request('a')
  assert.ok(client.server !== null)
  const cancels = (): readonly TestBackend[] => shard.backends.filter(({ cancelled }) => cancelled !== null)
  return { ...bench, client, server: client.server, cancels }
}

test('the shard is asked with the process and the key that it gave the server connection', (t) => {
  const { host, server, cancels } = open(t)
  CancelRequest.send(host, server)
  host.settle()
  assert.deepEqual(
    cancels().map(({ cancelled }) => cancelled),
    [{ pid: 1000, key: Buffer.from('key 1000') }],
  )
  cancels()[0]?.close()
})

test('until the shard has dealt with it, nobody else gets the server connection', (t) => {
  const { host, pool, story, client, server, request, cancels } = open(t)
  CancelRequest.send(host, server)
  host.settle()
  client.giveBack()
  request('b')
  assert.deepEqual([server.state, story, pool.idle], ['cancelling', ['a'], 0])
  cancels()[0]?.close()
  host.settle()
  assert.deepEqual([server.state, story], ['active', ['a', 'b']])
})

test('who asked for it is told when the shard has dealt with it, and not before', (t) => {
  const { host, server, cancels } = open(t)
  let isOver = false
  CancelRequest.send(host, server, () => {
    isOver = true
  })
  host.settle()
  assert.equal(isOver, false)
  cancels()[0]?.close()
  host.settle()
  assert.equal(isOver, true)
})

test('two requests for one server connection are both waited for', (t) => {
  const { host, story, client, server, request, cancels } = open(t)
  CancelRequest.send(host, server)
  CancelRequest.send(host, server)
  host.settle()
  client.giveBack()
  request('b')
  cancels()[0]?.close()
  host.settle()
  assert.deepEqual(story, ['a'])
  cancels()[1]?.close()
  host.settle()
  assert.deepEqual(story, ['a', 'b'])
})

test('a client that keeps its server connection is not disturbed by the end of the request', (t) => {
  const { host, client, server, cancels } = open(t)
  CancelRequest.send(host, server)
  host.settle()
  cancels()[0]?.close()
  host.settle()
  assert.deepEqual([server.state, client.server, host.timers.armed], ['active', server, 0])
})

test('a shard that takes too long costs the server connection, because the signal may still come', (t) => {
  const { host, shard, story, client, server, request, cancels } = open(t)
  CancelRequest.send(host, server)
  host.settle()
  client.giveBack()
  request('b')
  host.pass(4900)
  host.settle()
  assert.deepEqual(story, ['a'])
  host.pass(200)
  host.settle()
  assert.deepEqual([server.state, story, shard.backends[0]?.closed], ['closing', ['a', 'b'], true])
  assert.match(host.logged.join(), /a cancel request was not answered in time/)
  assert.equal(cancels()[0]?.closed, true)
})

test('a shard that cannot be reached is not asked, and the server connection goes on', (t) => {
  const { host, shard, story, client, server, request } = open(t)
  shard.stopListening()
  CancelRequest.send(host, server)
  host.settle()
  client.giveBack()
  request('b')
  assert.deepEqual([story, host.timers.armed], [['a', 'b'], 0])
})

test('without an address or a key there is nobody to ask', (t) => {
  const { host, shard, server, client } = open(t)
  server.identity = new ServerIdentity({ ...server.identity, cancelKey: Buffer.alloc(0) }, 'ada')
  CancelRequest.send(host, server)
  host.settle()
  assert.deepEqual([shard.backends.length, host.timers.armed], [1, 0])
  client.giveBack()
  assert.equal(server.state, 'idle')
})

test('a server connection that dies while the request is on its way is gone once', (t) => {
  const { host, shard, pool, story, client, server, request, cancels } = open(t)
  CancelRequest.send(host, server)
  host.settle()
  shard.backends[0]?.close()
  host.settle()
  assert.equal(client.lost?.reason, 'the server closed the connection')
  cancels()[0]?.close()
  host.settle()
  request('b')
  assert.deepEqual([server.state, story, pool.size], ['closing', ['a', 'b'], 1])
})

test('a request leaves no descriptor and no timer behind', (t) => {
  const { host, shard, server, cancels } = open(t)
  for (let round = 0; round < 5; round++) {
    CancelRequest.send(host, server)
    host.settle()
    cancels().at(-1)?.close()
    host.settle()
  }
  assert.equal(cancels().length, 5)
  assert.deepEqual([host.timers.armed, shard.open.length, host.arena.buffersInUse], [0, 1, 0])
})

test('TLS is asked for where it is used, and where it may be done without a refusal is no obstacle', (t) => {
  const { host, server, cancels } = open(t)
  host.serverTls = { mode: 'prefer', context: null }
  CancelRequest.send(host, server)
  host.settle()
  assert.deepEqual(
    cancels().map(({ cancelled, refusedTls }) => [cancelled?.pid, refusedTls]),
    [[1000, true]],
  )
  cancels()[0]?.close()
})

test('where TLS has to be the key is never told in plain text, and the log says so', (t) => {
  const { host, shard, story, client, server, request, cancels } = open(t)
  host.serverTls = { mode: 'require', context: null }
  CancelRequest.send(host, server)
  host.settle()
  assert.deepEqual(
    [shard.backends.at(-1)?.refusedTls, shard.backends.at(-1)?.closed, cancels().length],
    [true, true, 0],
  )
  assert.match(host.logged.join(), /a cancel request could not be sent/)
  client.giveBack()
  request('b')
  assert.deepEqual([story, host.timers.armed], [['a', 'b'], 0])
})

test('a backend whose connection is closed is cancelled all the same', (t) => {
  const { host, shard, cancels } = open(t)
  CancelRequest.sendTo(host, { shard: shard.value(), backendPid: 7, cancelKey: Buffer.from('key 7') })
  host.settle()
  assert.deepEqual(cancels()[0]?.cancelled, { pid: 7, key: Buffer.from('key 7') })
  cancels()[0]?.close()
  host.settle()
  assert.equal(host.timers.armed, 0)
})
