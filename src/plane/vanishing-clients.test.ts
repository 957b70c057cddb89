import assert from 'node:assert/strict'
import { test } from 'node:test'
import { writeParameterStatus, writeQuery, writeStartup } from '../protocol/messages.ts'
import { MessageWriter } from '../protocol/writer.ts'
import { openPlane, type TestPlane } from './plane.fixture.ts'

function parameterStatus(name: string, value: string): Buffer {
  const writer = new MessageWriter()
  writeParameterStatus(writer, name, value)
  return Buffer.from(writer.bytes)
}

/** Parse, Bind, Describe, Execute and Sync of the unnamed statement, without parameters. */
function extendedQuery(sql: string): Buffer {
  const writer = new MessageWriter()
  writer.begin(0x50).text('').text(sql).byte(0).byte(0).end()
  writer.begin(0x42).text('').text('').raw(Buffer.alloc(6)).end()
  writer.begin(0x44).byte(0x50).text('').end()
  writer.begin(0x45).text('').int32(0).end()
  writer.begin(0x53).end()
  return Buffer.from(writer.bytes)
}

/** Queries that begin with this are left to the test. */
function hold(plane: TestPlane, start: string): void {
  plane.shard.onQuery = (backend) => {
    if (backend.queries.at(-1)?.startsWith(start) !== true) backend.ready()
  }
}

test('a client that has gone when it is welcomed is over', (t) => {
  const plane = openPlane(t)
  plane.connect().login()
  const client = plane.connect()
  const writer = new MessageWriter()
  writeStartup(writer, 0, [
    ['user', 'ada'],
    ['database', 'shop'],
  ])
  client.peer.send(writer.bytes)
  client.peer.close()
  plane.settle()
  assert.deepEqual([plane.gone, plane.plane.sessions.size], [[1], 1])
})

test('a client that has gone when its Sync is answered is over, and what it has sent behind that is not run', (t) => {
  const plane = openPlane(t)
  const client = plane.connect().login()
  const writer = new MessageWriter()
  writer.begin(0x53).end()
  writeQuery(writer, 'SELECT 1')
  client.peer.send(writer.bytes)
  client.peer.close()
  plane.settle()
  assert.deepEqual([plane.gone, plane.plane.sessions.size], [[0], 0])
  assert.ok(!plane.shard.open.some(({ queries }) => queries.includes('SELECT 1')))
})

test('a client that has gone when it is told of a setting is over, and does not go on', (t) => {
  const plane = openPlane(t)
  plane.shard.reported = [['IntervalStyle', 'postgres']]
  const client = plane.connect().login('ada', [['intervalstyle', 'iso_8601']])
  plane.shard.onQuery = (backend) => {
    const sql = backend.queries.at(-1) ?? ''
    if (sql === 'SELECT f()') backend.send(parameterStatus('IntervalStyle', 'postgres'))
    backend.ready()
    // Both are seen in the same wake-up, the answer first.
    if (sql === 'RESET IntervalStyle') client.peer.close()
  }
  client.query('SELECT f()')
  // The server has nothing to report then: it is the router who knows of the value in the startup packet.
  client.query('RESET IntervalStyle')
  assert.equal(plane.plane.sessions.size, 0)
  assert.deepEqual(plane.gone, [0])
  const other = plane.connect().login()
  other.query('SELECT 1')
  assert.deepEqual(other.told(), ['Z I'])
})

test('what a client sends while its settings are asked for is taken up again, in the middle of a request too', (t) => {
  const plane = openPlane(t)
  const client = plane.connect().login('ada', [['work_mem', '9MB']])
  client.query('CREATE TEMP TABLE mine (x int)')
  assert.deepEqual(client.told(), ['Z I'])
  hold(plane, 'SELECT')
  plane.pass(100)
  const [backend] = plane.shard.open
  assert.match(backend?.queries.at(-1) ?? '', /^SELECT/)
  // From its Bind on it is to be put back to 9MB, so nothing may follow before the answer.
  client.send(extendedQuery('DISCARD ALL'))
  backend?.ready()
  plane.settle()
  assert.match(backend?.types ?? '', /PH?BDES$/)
})
