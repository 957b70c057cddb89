import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openPlane, type TestPlane } from '../plane/plane.fixture.ts'
import { drainPlane } from '../plane/plane-drain.ts'
import { query } from '../protocol/client-messages.fixture.ts'
import { STATUS } from '../protocol/message-type.ts'

const TOLD = 'E FATAL 57P01'

function open(t: TestContext): TestPlane {
  return openPlane(t, {}, 1)
}

test('a client without a transaction is told at once that the plane drains', (t) => {
  const test = open(t)
  const client = test.connect().login()
  drainPlane(test.plane)
  test.settle()
  assert.deepEqual([client.told(), client.ended], [[TOLD], true])
})

test('one in a transaction is told behind its end', (t) => {
  const test = open(t)
  const client = test.connect().login()
  test.shard.onQuery = (backend) => backend.ready(STATUS.inTransaction)
  client.query('begin')
  drainPlane(test.plane)
  client.query('select 1')
  assert.deepEqual(client.told(), ['Z T', 'Z T'])
  test.shard.onQuery = (backend) => backend.ready()
  client.query('commit')
  assert.deepEqual(client.told(), ['Z I', TOLD])
})

test('so is one whose BEGIN no server has got yet', (t) => {
  const test = open(t)
  const { values } = test.plane
  const routing = { ...values.policy.routing, defersBegin: true }
  test.plane.setValues({ ...values, version: values.version + 1, policy: { ...values.policy, routing } })
  const client = test.connect().login()
  client.query('begin')
  drainPlane(test.plane)
  assert.deepEqual(client.told(), ['C', 'Z T'])
  client.query('commit')
  assert.deepEqual(client.told(), ['C', 'Z I', TOLD])
})

test('who waits for a server connection, or for an answer, is told behind the answer', (t) => {
  const test = open(t)
  const [first, second] = [test.connect().login(), test.connect().login()]
  test.shard.onQuery = () => {}
  for (const client of [first, second]) client.query('select 1')
  drainPlane(test.plane)
  test.settle()
  assert.deepEqual([first.told(), second.told()], [[], []])
  test.shard.onQuery = (backend) => backend.ready()
  test.shard.open[0]?.ready()
  test.settle()
  assert.deepEqual(
    [first.told(), second.told()],
    [
      ['Z I', TOLD],
      ['Z I', TOLD],
    ],
  )
})

test('who is in the middle of a long message may end it', (t) => {
  const test = open(t)
  const client = test.connect().login()
  const long = query(`select '${'x'.repeat(200_000)}'`)
  client.send(long.subarray(0, 100_000))
  drainPlane(test.plane)
  test.settle()
  assert.deepEqual(client.told(), [])
  client.send(long.subarray(100_000))
  assert.deepEqual(client.told(), ['Z I', TOLD])
})

test('a session that ends leaves nothing behind that others are counted with', (t) => {
  const test = open(t)
  const client = test.connect().login()
  const { sessions } = test.plane
  assert.deepEqual([sessions.count('user', 'ada'), test.gone], [1, []])
  client.peer.close()
  test.settle()
  assert.deepEqual([sessions.count('user', 'ada'), test.gone], [0, [0]])
})
