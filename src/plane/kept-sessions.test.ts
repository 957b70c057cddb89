import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { SessionRecord } from '../client/session-record.ts'
import { SessionRecordReader } from '../client/session-record-reader.ts'
import { CLIENT_SECTIONS, CLIENT_STEP } from '../memory/client-slots.ts'
import { heldSection } from '../memory/slot-section.ts'
import { SYNC, writeParse, writeQuery } from '../protocol/messages.ts'
import { MessageWriter } from '../protocol/writer.ts'
import { ParameterRegistry } from '../session/parameters.ts'
import { StatementRegistry } from '../session/prepared-statements.ts'
import { openPlane, type TestPlane } from './plane.fixture.ts'

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
  const writer = new MessageWriter()
  writeParse(writer, 'mine', Buffer.from('SELECT 1\0\0\0'))
  client.send(Buffer.concat([writer.bytes, SYNC]))
  const record = readBack(plane)
  assert.deepEqual(
    record.statements.map(([name, { tail }]) => [name, tail.toString()]),
    [['mine', 'SELECT 1\0\0\0']],
  )
})

test('half a message that came waits in the inbox, and nothing is torn', (t) => {
  const { plane, client } = loggedIn(t)
  const writer = new MessageWriter()
  writeQuery(writer, 'SELECT 1')
  client.send(Buffer.from(writer.bytes.subarray(0, 6)))
  const record = readBack(plane)
  assert.deepEqual([record.state, record.body, record.flags & CLIENT_STEP.torn], ['idle', 0, 0])
})
