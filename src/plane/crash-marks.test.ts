import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SERVER } from '../memory/server-slots.ts'
import { markedSlot } from '../memory/slot-mark.ts'
import { openPlane } from './plane.fixture.ts'

const WORDS = 256

test('whose event is being served is in the shared memory', (t) => {
  const bench = openPlane(t)
  const { plane, shard } = bench
  const marked = () => markedSlot(plane.clients, plane.servers, plane.record.slotInProgress[0] ?? 0)
  const first = bench.connect()
  assert.deepEqual(marked(), { kind: 'client', slot: 0 })
  first.login()
  const second = bench.connect().login()
  shard.onQuery = () => {}
  second.query('select 1')
  assert.deepEqual(marked(), { kind: 'client', slot: 1 })
  first.query('select 1')
  const [backend] = shard.open.filter(({ queries }) => queries.length > 0)
  backend?.ready()
  bench.settle()
  assert.equal(marked()?.kind, 'server')
})

test('a server’s slot says how much of a message is missing that its client has the beginning of', (t) => {
  const bench = openPlane(t)
  const { plane, shard } = bench
  const client = bench.connect().login()
  shard.onQuery = () => {}
  client.query('select 1')
  const backend = shard.open.find(({ queries }) => queries.length > 0)
  assert.ok(backend)
  const remaining = (): number[] =>
    Array.from(
      { length: plane.servers.count },
      (_, slot) => plane.servers.i32[slot * WORDS + SERVER.bodyRemaining] ?? 0,
    ).filter((bytes) => bytes !== 0)
  const row = Buffer.alloc(100_001, 'x')
  row[0] = 'D'.charCodeAt(0)
  row.writeInt32BE(100_000, 1)
  backend.send(row.subarray(0, 1_000))
  bench.settle()
  assert.deepEqual(remaining(), [99_001])
  backend.send(row.subarray(1_000))
  bench.settle()
  assert.deepEqual(remaining(), [])
  backend.ready()
  bench.settle()
  assert.deepEqual(client.told(), ['D', 'Z I'])
})
