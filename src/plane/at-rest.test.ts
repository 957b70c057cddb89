import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { CLIENT, CLIENT_F64, CLIENT_SECTION, CLIENT_STATE, CLIENT_STEP } from '../memory/client-slots.ts'
import { slotMark } from '../memory/slot-mark.ts'
import { SECTION } from '../memory/slot-section.ts'
import { query } from '../protocol/client-messages.fixture.ts'
import { STATUS } from '../protocol/message-type.ts'
import { AtRest } from './at-rest.ts'
import { openPlane, type TestPlane } from './plane.fixture.ts'

/** The section of the first client, as whoever comes after the plane finds it; −1: it was not at rest. */
const sectionOf = ({ shared, log }: TestPlane, inProgress = 0): number =>
  new AtRest(shared.clients, log, inProgress).section(0)

function loggedIn(t: TestContext) {
  const plane = openPlane(t, {}, 1)
  return { plane, client: plane.connect().login() }
}

test('a client between two requests is at rest, one with a login of its own to do is not', (t) => {
  const { plane, client } = loggedIn(t)
  assert.ok(sectionOf(plane) >= 0)
  client.query('select 1')
  assert.ok(sectionOf(plane) >= 0, 'whatever it has asked before')
  const other = plane.connect()
  assert.equal(new AtRest(plane.shared.clients, plane.log, 0).section(1), -1)
  other.peer.close()
})

test('nor is whoever waits for an answer, for a server connection, or for the rest of its own message', (t) => {
  const { plane, client } = loggedIn(t)
  plane.shard.onQuery = () => {}
  const bytes = query('select 1')
  client.send(bytes.subarray(0, 6))
  assert.equal(sectionOf(plane), -1, 'half a message')
  client.send(bytes.subarray(6))
  assert.equal(sectionOf(plane), -1, 'a query')
  const other = plane.connect().login()
  other.query('select 2')
  assert.equal(new AtRest(plane.shared.clients, plane.log, 0).section(1), -1, 'no server connection')
  plane.shard.onQuery = (backend) => backend.ready()
  plane.shard.open[0]?.ready()
  plane.settle()
  assert.ok(sectionOf(plane) >= 0)
})

test('nor is whoever is in a transaction, or keeps its server connection', (t) => {
  const { plane, client } = loggedIn(t)
  plane.shard.onQuery = (backend) => backend.ready(STATUS.inTransaction)
  client.query('begin')
  assert.equal(sectionOf(plane), -1)
  plane.shard.onQuery = (backend) => backend.ready()
  client.query('commit')
  assert.ok(sectionOf(plane) >= 0)
  client.query('listen x; select pg_advisory_lock(1)')
  assert.equal(sectionOf(plane), -1)
})

test('a client that the predecessor was serving, or had read or written for, is looked at closely', (t) => {
  const { plane } = loggedIn(t)
  const mark = slotMark(plane.shared.clients, 0)
  assert.equal(sectionOf(plane, mark), -1)
  assert.ok(sectionOf(plane, mark + 1) >= 0)
  plane.log.begin()
  plane.log.noteRead(0, mark, 0)
  assert.equal(sectionOf(plane), -1, 'what was read is not committed')
  plane.log.commit(0)
  plane.log.begin()
  plane.log.noteSend(0, mark, 0, 5)
  plane.log.commit(1)
  assert.equal(sectionOf(plane), -1, 'what was committed may not have left')
  plane.log.begin()
  assert.ok(sectionOf(plane) >= 0)
  plane.log.commit(0)
})

test('one field that is not as of a client at rest is enough', (t) => {
  const { plane } = loggedIn(t)
  const { i32 } = plane.shared.clients
  const section = sectionOf(plane)
  for (const field of [
    SECTION.inboxBytes,
    SECTION.outboxBytes,
    SECTION.body,
    SECTION.peer,
    SECTION.extraHandle,
    CLIENT_SECTION.pins,
    CLIENT_SECTION.statementsHandle,
    CLIENT_SECTION.unnamedChanges,
  ]) {
    i32[section + field] = 1
    assert.equal(sectionOf(plane), -1, `field ${field}`)
    i32[section + field] = 0
  }
  const flags = section + SECTION.flags
  const before = i32[flags] as number
  i32[flags] = before | CLIENT_STEP.torn
  assert.equal(sectionOf(plane), -1)
  i32[flags] = before | CLIENT_STEP.bodyGoesOn | CLIENT_STEP.onlyBegun | CLIENT_STEP.mayCommit
  assert.equal(sectionOf(plane), section, 'what these say is over')
  i32[flags] = before
})

test('of what a step did that was never committed, nothing is left in the slot', (t) => {
  const { plane, client } = loggedIn(t)
  client.query('select 1')
  const { clients } = plane.shared
  const section = sectionOf(plane)
  const written = [
    CLIENT.server,
    CLIENT.inboxHandle,
    CLIENT.inboxBytes,
    CLIENT.outboxHandle,
    CLIENT.outboxStart,
    CLIENT.outboxBytes,
  ]
  const totals = [clients.f64[CLIENT_F64.bytesRead], clients.f64[CLIENT_F64.bytesWritten]]
  assert.ok(totals.every((total) => (total ?? 0) > 0))
  for (const field of written) clients.i32[field] = 9
  clients.i32[CLIENT.state] = CLIENT_STATE.active
  clients.f64[CLIENT_F64.bytesRead] = 1e9
  clients.f64[CLIENT_F64.bytesWritten] = 1e9
  new AtRest(clients, plane.log, 0).settle(0, section)
  assert.deepEqual(
    written.map((field) => clients.i32[field]),
    [0, 0, 0, 0, 0, 0],
  )
  assert.equal(clients.i32[CLIENT.state], CLIENT_STATE.idle)
  assert.deepEqual([clients.f64[CLIENT_F64.bytesRead], clients.f64[CLIENT_F64.bytesWritten]], totals)
})
