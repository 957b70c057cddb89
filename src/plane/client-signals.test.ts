import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { cancelProcessId } from '../client/client-slot.ts'
import { STATUS } from '../protocol/message-type.ts'
import { openPlane, type TestPlane } from './plane.fixture.ts'

const processIdOf = (slot: number): number => cancelProcessId(slot, 1)

/** Two clients of one user, in slots 0 and 1, and one of another, for the only server connection. */
function open(t: TestContext) {
  const test = openPlane(t, {}, 1)
  const [ada, twin, eve] = [test.connect().login('ada'), test.connect().login('ada'), test.connect().login('eve')]
  return { test, ada, twin, eve }
}

function cancelled(test: TestPlane): number {
  return test.shard.backends.filter((backend) => backend.cancelled !== null).length
}

test('a client that waits for a server connection is cancelled without the shard', (t) => {
  const { test, ada, twin } = open(t)
  test.shard.onQuery = (backend) => backend.ready(STATUS.inTransaction)
  ada.query('begin')
  twin.query('select 1')
  assert.equal(test.plane.signals.signalClient(0, processIdOf(1), false), true)
  test.settle()
  assert.deepEqual([twin.told(), cancelled(test)], [['E ERROR 57014', 'Z I'], 0])
})

test('what a client has under way is cancelled at the shard, by another one of its user only', (t) => {
  const { test, ada } = open(t)
  test.shard.onQuery = () => {}
  ada.query('select pg_sleep(60)')
  assert.equal(test.plane.signals.signalClient(2, processIdOf(0), false), false)
  assert.equal(test.plane.signals.signalClient(1, processIdOf(0) + (1 << 20), false), false)
  test.settle()
  assert.equal(cancelled(test), 0)
  assert.equal(test.plane.signals.signalClient(1, processIdOf(0), false), true)
  test.settle()
  assert.equal(cancelled(test), 1)
})

test('a client may end itself, but not cancel itself: that could hit its next statement', (t) => {
  const { test, ada } = open(t)
  assert.equal(test.plane.signals.signalClient(0, processIdOf(0), false), false)
  assert.equal(test.plane.signals.signalClient(0, processIdOf(0), true), true)
  test.settle()
  assert.deepEqual(ada.told().slice(-1), ['E FATAL 57P01'])
})

test('a cancel request with a wrong key is counted, and does nothing', (t) => {
  const { test, ada } = open(t)
  test.shard.onQuery = () => {}
  ada.query('select pg_sleep(60)')
  let isOver = false
  test.plane.signals.cancelByKey(processIdOf(0), Buffer.from('guess'), () => {
    isOver = true
  })
  assert.ok(isOver, 'there is nothing to wait for')
  test.settle()
  assert.deepEqual([test.plane.record.get('cancels'), cancelled(test)], [1, 0])
})

test('what a client has left behind is cancelled again: its backend may not have begun with it the first time', (t) => {
  const { test, ada } = open(t)
  test.shard.onQuery = () => {}
  ada.query('select pg_sleep(60)')
  test.plane.sessions.at(0)?.close('killed', null)
  test.settle()
  assert.equal(cancelled(test), 1)
  test.pass(900)
  assert.equal(cancelled(test), 1)
  test.pass(200)
  assert.equal(cancelled(test), 2)
})
