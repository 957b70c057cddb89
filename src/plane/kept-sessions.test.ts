import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { SessionRecord } from '../client/session-record.ts'
import { SessionRecordReader } from '../client/session-record-reader.ts'
import { CLIENT_SECTIONS, CLIENT_STEP } from '../memory/client-slots.ts'
import { heldSection, SECTION } from '../memory/slot-section.ts'
import { closeStatement, parse, sync } from '../protocol/client-messages.fixture.ts'
import { writeQuery } from '../protocol/messages.ts'
import { MessageWriter } from '../protocol/writer.ts'
import { ParameterRegistry } from '../session/parameters.ts'
import { StatementRegistry } from '../session/prepared-statements.ts'
import { openPlane, type TestPlane } from './plane.fixture.ts'
import { ValueSweep } from './value-sweep.ts'

/** What another process reads of the first client. */
function readBack({ plane }: TestPlane): SessionRecord {
  const records = new SessionRecordReader(plane, new ParameterRegistry(), new StatementRegistry())
  const section = heldSection(plane.clients, 0, CLIENT_SECTIONS, Number.POSITIVE_INFINITY)
  assert.ok(section >= 0, 'nothing was written down')
  const record = records.read(0, section)
  assert.ok(record !== null)
  return record
}

function loggedIn(t: TestContext) {
  const plane = openPlane(t)
  return { plane, client: plane.connect().login('ada') }
}

test('a session at rest is who it is, with its settings and nothing else', (t) => {
  const { plane } = loggedIn(t)
  const record = readBack(plane)
  assert.deepEqual([record.user, record.database, record.state, record.serverSlot], ['ada', 'shop', 'idle', -1])
  assert.deepEqual([record.body, record.pins, record.statements, record.unnamed], [0, 0, [], null])
  assert.equal(record.flags & CLIENT_STEP.torn, 0)
  assert.deepEqual(
    [...record.parameters.values],
    [...(plane.plane.sessions.find(0, 1)?.settings.parameters?.values ?? [])],
  )
})

test('statements that a client has prepared are there with their texts, under its names', (t) => {
  const { plane, client } = loggedIn(t)
  client.send(Buffer.concat([parse('mine', 'SELECT 1'), sync()]))
  const record = readBack(plane)
  assert.deepEqual(
    record.statements.map(([name, { tail }]) => [name, tail.toString()]),
    [['mine', 'SELECT 1\0\0\0']],
  )
})

test('however much comes and goes, there is room, and what sessions are written down with stays', (t) => {
  const { plane, client } = loggedIn(t)
  const { store } = plane.plane
  plane.shard.preparesAtOnce = true
  const sweep = new ValueSweep(plane.plane, 0, plane.log, () => {})
  client.send(Buffer.concat([parse('mine', 'SELECT 1'), sync()]))
  const before = readBack(plane)
  const other = plane.connect().login('eve')
  let sweeps = 0
  for (let round = 0; round < 200; round++) {
    other.send(Buffer.concat([parse('theirs', `SELECT '${'x'.repeat(30_000)}', ${round}`), sync()]))
    other.send(Buffer.concat([closeStatement('theirs'), sync()]))
    other.told()
    assert.ok(store.room > 100_000)
    if (!sweep.isDue(plane.plane.now)) continue
    sweeps++
    sweep.run(plane.plane.now)
    assert.deepEqual(readBack(plane).parameters.values, before.parameters.values)
  }
  assert.ok(sweeps > 3, `${sweeps}`)
  const texts = (of: SessionRecord): readonly string[] => of.statements.map(([, { tail }]) => tail.toString())
  assert.deepEqual(texts(readBack(plane)), ['SELECT 1\0\0\0'])
  // What was known of them before the sweeps may be anything by now.
  client.send(Buffer.concat([parse('more', 'SELECT 2'), sync()]))
  assert.deepEqual(texts(readBack(plane)), ['SELECT 1\0\0\0', 'SELECT 2\0\0\0'])
})

test('what a session that was not written down in full refers to is not looked at', (t) => {
  const { plane, client } = loggedIn(t)
  client.send(Buffer.concat([parse('mine', 'SELECT 1'), sync()]))
  const { clients, store, arena } = plane.plane
  const sweep = new ValueSweep(plane.plane, 0, plane.log, () => {})
  const at = heldSection(clients, 0, CLIENT_SECTIONS, Number.POSITIVE_INFINITY)
  const handle = arena.allocate(8)
  const [flags, extra] = [at + SECTION.flags, at + SECTION.extraHandle]
  const before = [clients.i32[flags] as number, clients.i32[extra] as number] as const
  clients.i32[extra] = handle
  clients.i32[at + SECTION.extraBytes] = 8
  for (const bit of [CLIENT_STEP.unsaved, CLIENT_STEP.torn]) {
    clients.i32[flags] = before[0] | bit
    sweep.run(0)
    assert.equal(store.size, 5, 'who it is, and what there is of its server connection')
  }
  clients.i32[flags] = before[0]
  clients.i32[extra] = before[1]
  arena.retire(handle)
  arena.settle()
})

test('half a message that came waits in the inbox, and nothing is torn', (t) => {
  const { plane, client } = loggedIn(t)
  const writer = new MessageWriter()
  writeQuery(writer, 'SELECT 1')
  client.send(Buffer.from(writer.bytes.subarray(0, 6)))
  const record = readBack(plane)
  assert.deepEqual([record.state, record.body, record.flags & CLIENT_STEP.torn], ['idle', 0, 0])
})
