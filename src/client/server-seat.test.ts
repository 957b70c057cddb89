import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { CLIENT } from '../memory/client-slots.ts'
import { POOL_F64 } from '../memory/pool-records.ts'
import { loadRecord, SHARD_LOAD_F64 } from '../memory/shard-records.ts'
import { openPlane, type TestClient, type TestPlane } from '../plane/plane.fixture.ts'
import { drainPlane } from '../plane/plane-drain.ts'
import { PlaneUpkeep } from '../plane/plane-upkeep.ts'
import { STATUS } from '../protocol/message-type.ts'
import { writeStartup } from '../protocol/messages.ts'
import { MessageWriter } from '../protocol/writer.ts'
import type { Candidate } from '../router/replica-choice.ts'
import type { ServerPool } from '../server/server-pool.ts'
import { TIERS } from '../shard/tier.ts'
import type { Shard } from '../shard/topology.ts'

/** A client in a transaction that keeps its server connection, the only one. */
function begin(test: TestPlane): TestClient {
  const client = test.connect().login()
  test.shard.onQuery = (backend) => backend.ready(STATUS.inTransaction)
  client.query('begin')
  assert.equal(client.told().at(-1), 'Z T')
  test.shard.onQuery = (backend) => backend.ready()
  return client
}

/** The primary is another one from now on, at the same address; or there is none. */
function elect(test: TestPlane, id: number | null): void {
  const { topology } = test.plane.values
  const shards = [id === null ? { ...test.shard.value(), role: 'replica' as const } : test.shard.value(id)]
  test.plane.setTopology({ version: topology.version + 1, shards })
  test.settle()
}

const poolOf = (test: TestPlane, shard: number): ServerPool | undefined =>
  [...test.plane.poolSet.all].find(({ target }) => target.shard.id === shard)

/** Pool record of a client's slot, and what that pool has counted. */
function counted(test: TestPlane, slot: number): { record: number; transactions: number | undefined } {
  const { clients, pools } = test.shared
  const record = (clients.i32[slot * (clients.recordBytes >> 2) + CLIENT.pool] ?? 0) - 1
  return { record, transactions: pools.f64[record * (pools.recordBytes >> 3) + POOL_F64.transactions] }
}

function open(t: TestContext): TestPlane {
  return openPlane(t, {}, 1)
}

test('who waits in the pool of a shard that is primary no more gets a connection to the new one', (t) => {
  const test = open(t)
  begin(test)
  const waiting = test.connect().login()
  waiting.query('select 1')
  assert.deepEqual(waiting.told(), [])
  elect(test, 4)
  assert.deepEqual(waiting.told(), ['Z I'])
})

test('a request without a primary waits for one', (t) => {
  const test = open(t)
  const client = test.connect().login()
  elect(test, null)
  client.query('select 1')
  assert.deepEqual(client.told(), [])
  elect(test, 4)
  assert.deepEqual(client.told(), ['Z I'])
})

test('a login without a primary waits for one', (t) => {
  const test = open(t)
  elect(test, null)
  const client = test.connect()
  client.startup('ada')
  assert.deepEqual(client.told(), ['R'])
  elect(test, 4)
  assert.equal(client.told().at(-1), 'Z I')
})

test('who leaves while it waits, for a server connection or for a primary, is not waited for', (t) => {
  const test = open(t)
  const first = begin(test)
  const [asks, logsIn, next] = [test.connect().login(), test.connect(), test.connect().login()]
  for (const client of [asks, next]) client.query('select 1')
  logsIn.startup('bob')
  asks.peer.close()
  test.settle()
  first.query('commit')
  assert.deepEqual([first.told(), next.told()], [['Z I'], ['Z I']])
  elect(test, null)
  const [held, stays] = [test.connect(), test.connect()]
  for (const client of [held, stays]) client.startup('eve')
  held.peer.close()
  test.settle()
  elect(test, 4)
  assert.equal(stays.told().at(-1), 'Z I')
})

test('transactions count for the pool that served them, after a switch of the primary too', (t) => {
  const test = open(t)
  const [client, other] = [test.connect().login(), test.connect().login()]
  client.query('select 1')
  const before = counted(test, 0)
  elect(test, 4)
  // Opens the new pool's connection, so that the first client finds it free.
  other.query('select 1')
  client.query('select 1')
  const after = counted(test, 0)
  assert.deepEqual([after.record, after.transactions], [poolOf(test, 4)?.record, 2])
  assert.notEqual(after.record, before.record)
})

test('a client that is welcomed while the plane drains is told at once', (t) => {
  const test = open(t)
  test.shard.onQuery = () => {}
  const client = test.connect()
  const writer = new MessageWriter()
  writeStartup(writer, 0, [
    ['user', 'ada'],
    ['database', 'shop'],
    ['geqo', 'off'],
  ])
  client.send(writer.bytes)
  assert.deepEqual(client.told(), ['R'])
  drainPlane(test.plane)
  assert.deepEqual(client.told(), [])
  test.shard.open[0]?.ready()
  test.settle()
  assert.deepEqual(client.told().slice(-2), ['Z I', 'E FATAL 57P01'])
})

/** A replica beside the primary, and where reads are sent. */
function withReplica(test: TestPlane): { replica: Shard; sendReadsTo(shard: Shard | null): void } {
  const replica: Shard = { ...test.shard.value(7), role: 'replica', slots: 1 }
  const { topology } = test.plane.values
  test.plane.setTopology({ version: topology.version + 1, shards: [test.shard.value(), replica] })
  const { readRouting } = test.plane
  let chosen: Shard | null = null
  readRouting.mayLeave = () => true
  readRouting.isRead = () => true
  readRouting.choose = () => (chosen === null ? null : ({ shard: chosen, isPrimary: false } as Candidate))
  return {
    replica,
    sendReadsTo: (shard) => {
      chosen = shard
    },
  }
}

/** One second of a plane's life has gone by. */
function upkeep(test: TestPlane): void {
  new PlaneUpkeep(test.plane).run()
  test.settle()
}

test('a read that waits goes to a shard that has a slot for it since, with the time that it has waited', (t) => {
  const test = open(t)
  const { replica, sendReadsTo } = withReplica(test)
  begin(test)
  const [one, two] = [test.connect().login(), test.connect().login()]
  test.shard.onQuery = () => {}
  for (const client of [one, two]) client.query('select 1')
  upkeep(test)
  assert.deepEqual([poolOf(test, 0)?.waiting, poolOf(test, 7)], [2, undefined])
  test.plane.now += 3000
  sendReadsTo(replica)
  upkeep(test)
  // There is one slot.
  assert.deepEqual([poolOf(test, 0)?.waiting, poolOf(test, 7)?.busy], [1, 1])
  upkeep(test)
  assert.equal(poolOf(test, 0)?.waiting, 1)
  const { f64, recordBytes } = test.shared.shards
  const waitedAt = loadRecord(0, replica.id) * (recordBytes >> 3) + SHARD_LOAD_F64.waitMs
  assert.ok(Math.max(...f64.subarray(waitedAt, waitedAt + TIERS.length)) >= 3000)
  test.shard.open.at(-1)?.ready()
  test.settle()
  assert.deepEqual([one.told(), two.told()], [['Z I'], []])
  upkeep(test)
  test.shard.open.at(-1)?.ready()
  test.settle()
  assert.deepEqual(two.told(), ['Z I'])
})

test('what is no read waits where it is, whatever other shards have', (t) => {
  const test = open(t)
  const { replica, sendReadsTo } = withReplica(test)
  test.plane.readRouting.isRead = () => false
  begin(test)
  const writer = test.connect().login()
  writer.query('insert into a values (1)')
  sendReadsTo(replica)
  upkeep(test)
  assert.deepEqual([poolOf(test, 0)?.waiting, poolOf(test, 7)], [1, undefined])
})
