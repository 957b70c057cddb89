import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { ErrorFields } from '../protocol/messages.ts'
import { DedicatedServer } from './dedicated-server.ts'
import type { ServerConnection } from './server-connection.ts'
import { openServerHost, type TestServerHost, TestWaiter } from './server-host.fixture.ts'
import { TestShard } from './shard-peer.fixture.ts'

const SLOTS = 1

interface Bench {
  readonly host: TestServerHost
  readonly shard: TestShard
  readonly dedicated: DedicatedServer
  readonly ready: ServerConnection[]
  readonly failed: ErrorFields[]
}

function open(t: TestContext, address: string | null = '127.0.0.1'): Bench {
  const host = openServerHost(t, SLOTS)
  const shard = new TestShard(host.poller)
  const target = {
    shard: { ...shard.value(), address },
    user: 'ada',
    database: 'shop',
    credential: { scram: null, password: null, md5Hash: null },
    startup: [['replication', 'true']],
  } as const
  const ready: ServerConnection[] = []
  const failed: ErrorFields[] = []
  const dedicated = new DedicatedServer(
    host,
    target,
    (server) => ready.push(server),
    (fields) => failed.push(fields),
  )
  t.after(() => {
    for (const server of ready) server.close('test is over')
    shard.close()
    assert.equal(host.freeSlots.length, SLOTS, 'the server slot is free again')
  })
  return { host, shard, dedicated, ready, failed }
}

test('a connection is opened with what its one client asked for, and given to it', (t) => {
  const { host, shard, dedicated, ready, failed } = open(t)
  dedicated.open()
  host.settle()
  assert.deepEqual([ready.length, ready[0]?.state, failed], [1, 'idle', []])
  assert.equal(shard.backends[0]?.parameters.get('replication'), 'true')
})

test("it is nobody else's: when its client lets go of it, it is closed", (t) => {
  const { host, shard, dedicated, ready, failed } = open(t)
  dedicated.open()
  host.settle()
  const client = new TestWaiter(host, 'a')
  client.take(ready[0] as ServerConnection)
  client.giveBack()
  host.settle()
  assert.deepEqual([shard.open.length, ready.length, failed], [0, 1, []])
})

test('a login that the shard refuses fails with the words of the shard', (t) => {
  const { host, shard, dedicated, ready, failed } = open(t)
  const fields = { severity: 'FATAL', sqlstate: '28000', message: 'must be a replication role' } as const
  shard.behaviour = { kind: 'refuse', fields }
  dedicated.open()
  host.settle()
  assert.deepEqual([ready, failed.length, failed[0]?.sqlstate, failed[0]?.message], [[], 1, '28000', fields.message])
})

test('a shard that cannot be reached fails it, once', (t) => {
  const { host, shard, dedicated, ready, failed } = open(t)
  shard.stopListening()
  dedicated.open()
  host.settle()
  assert.deepEqual([ready, failed.map(({ sqlstate }) => sqlstate)], [[], ['08001']])
})

test('a shard whose name is not resolved fails it at once, and the slot is free again', (t) => {
  const { host, dedicated, failed } = open(t, null)
  dedicated.open()
  assert.deepEqual(
    [failed.map(({ sqlstate, severity }) => `${severity} ${sqlstate}`), host.freeSlots.length],
    [['FATAL 08001'], SLOTS],
  )
  assert.match(failed[0]?.message ?? '', /resolve db0/)
})

test('without a free slot it fails at once', (t) => {
  const { host, dedicated, failed } = open(t)
  const slot = host.takeServerSlot()
  dedicated.open()
  assert.deepEqual(failed, [{ severity: 'FATAL', sqlstate: '53300', message: 'no server connection slot is free' }])
  host.freeServerSlot(slot)
})

test('a client that has left before the login is over gets nothing, and the connection is closed', (t) => {
  const { host, shard, dedicated, ready, failed } = open(t)
  shard.behaviour = { kind: 'hang' }
  dedicated.open()
  host.settle()
  assert.equal(shard.open.length, 1)
  dedicated.abandon()
  host.settle()
  assert.deepEqual([shard.open.length, ready, failed], [0, [], []])
})

test("a connection that was given away is its client's to close", (t) => {
  const { host, shard, dedicated, ready, failed } = open(t)
  dedicated.open()
  host.settle()
  dedicated.abandon()
  host.settle()
  assert.equal(shard.open.length, 1)
  ready[0]?.close('its client is gone')
  host.settle()
  assert.deepEqual([shard.open.length, failed], [0, []])
})
