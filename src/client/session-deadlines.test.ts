import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openPlane } from '../plane/plane.fixture.ts'
import { STATUS } from '../protocol/message-type.ts'

test('a client that says nothing is told and closed when the time for logging in is over', (t) => {
  const plane = openPlane(t, { clientLoginMs: 5000 })
  const client = plane.connect()
  plane.pass(4900)
  assert.deepEqual([client.told(), client.ended], [[], false])
  plane.pass(200)
  assert.deepEqual([client.told(), client.ended], [['E FATAL 08P01'], true])
})

test('the time for logging in ends with the login', (t) => {
  const plane = openPlane(t, { clientLoginMs: 5000 })
  const client = plane.connect().login()
  plane.pass(60_000)
  assert.deepEqual([client.told(), client.ended], [[], false])
})

test('an idle client is closed after its time, counted from its last query', (t) => {
  const plane = openPlane(t, { clientIdleMs: 5000 })
  const client = plane.connect().login()
  plane.pass(4000)
  client.query('select 1')
  assert.deepEqual(client.told(), ['Z I'])
  plane.pass(4000)
  assert.deepEqual(client.told(), [])
  plane.pass(1100)
  assert.deepEqual([client.told(), client.ended], [['E FATAL 57P05'], true])
})

test('without a limit an idle client stays', (t) => {
  const plane = openPlane(t)
  const client = plane.connect().login()
  plane.pass(1e8)
  assert.deepEqual([client.told(), client.ended], [[], false])
})

test('a query that waits too long for a server connection fails, and the client stays', (t) => {
  const plane = openPlane(t, { queryWaitMs: 3000 }, 1)
  const [first, second] = [plane.connect().login(), plane.connect().login('ada')]
  plane.shard.onQuery = (backend) => backend.ready(STATUS.inTransaction)
  first.query('begin')
  assert.deepEqual(first.told(), ['Z T'])
  second.query('select 1')
  plane.pass(2900)
  assert.deepEqual(second.told(), [])
  plane.pass(200)
  assert.deepEqual([second.told(), second.ended], [['E ERROR 53300', 'Z I'], false])
  plane.shard.onQuery = (backend) => backend.ready()
  first.query('commit')
  second.query('select 1')
  assert.deepEqual([first.told(), second.told()], [['Z I'], ['Z I']])
})

test('who waited in vain because the shard refuses everybody is told what the shard said', (t) => {
  const plane = openPlane(t, { queryWaitMs: 3000 })
  const client = plane.connect().login()
  const fields = { severity: 'FATAL', sqlstate: '57P03', message: 'the database system is starting up' } as const
  plane.shard.behaviour = { kind: 'refuse', fields }
  plane.shard.backends[0]?.close()
  plane.settle()
  client.query('select 1')
  plane.pass(3100)
  assert.deepEqual([client.told(), client.ended], [['E ERROR 57P03', 'Z I'], false])
})

test('a login that finds no server connection in time is refused, in the words of the shard where it has some', (t) => {
  const plane = openPlane(t, { queryWaitMs: 3000 })
  const fields = { severity: 'FATAL', sqlstate: '57P03', message: 'the database system is starting up' } as const
  for (const [behaviour, told] of [
    [{ kind: 'hang' }, 'E FATAL 53300'],
    [{ kind: 'refuse', fields }, 'E FATAL 57P03'],
  ] as const) {
    plane.shard.behaviour = behaviour
    const client = plane.connect()
    client.startup(told)
    plane.pass(2900)
    assert.deepEqual(client.told(), ['R'])
    plane.pass(200)
    assert.deepEqual([client.told(), client.ended], [[told], true])
  }
})

test('a query that takes too long is cancelled at the shard, and a short one is not', (t) => {
  const plane = openPlane(t, { queryMs: 2000, cancelMs: 5000 })
  const client = plane.connect().login()
  client.query('select 1')
  plane.pass(3000)
  plane.shard.onQuery = () => {}
  client.query('select pg_sleep(60)')
  plane.pass(1900)
  const cancels = () => plane.shard.backends.filter(({ cancelled }) => cancelled !== null)
  assert.equal(cancels().length, 0)
  plane.pass(200)
  assert.deepEqual(
    cancels().map(({ cancelled }) => cancelled?.pid),
    [plane.shard.backends[0]?.pid],
  )
  const [backend] = plane.shard.backends
  backend?.fail({ severity: 'ERROR', sqlstate: '57014', message: 'canceling statement due to user request' })
  backend?.ready()
  plane.settle()
  assert.deepEqual(client.told(), ['Z I', 'E ERROR 57014', 'Z I'])
})

test('a client that does nothing in its transaction is closed, and the server connection is not given to others as it is', (t) => {
  const plane = openPlane(t, { idleTransactionMs: 2000 }, 1)
  const client = plane.connect().login()
  plane.shard.onQuery = (backend) => backend.ready(STATUS.inTransaction)
  client.query('begin')
  plane.pass(1900)
  client.query('select 1')
  plane.pass(1900)
  assert.deepEqual(client.told(), ['Z T', 'Z T'])
  plane.shard.onQuery = (backend) => backend.ready()
  plane.pass(200)
  assert.deepEqual([client.told(), client.ended], [['E FATAL 25P03'], true])
  const [backend] = plane.shard.backends
  assert.ok(
    backend?.closed || backend?.queries.at(-1) === 'DISCARD ALL' || backend?.queries.at(-1)?.startsWith('ROLLBACK'),
  )
})

test('a transaction that works is not idle', (t) => {
  const plane = openPlane(t, { idleTransactionMs: 2000 })
  const client = plane.connect().login()
  plane.shard.onQuery = (backend) => backend.ready(STATUS.inTransaction)
  client.query('begin')
  plane.shard.onQuery = () => {}
  client.query('select pg_sleep(60)')
  plane.pass(10_000)
  assert.deepEqual([client.told(), client.ended], [['Z T'], false])
})

test('last words have five seconds, then the slot is free whether the client took them or not', (t) => {
  const plane = openPlane(t, { clientIdleMs: 1000 })
  plane.connect().login()
  plane.pass(1100)
  // The client sees the end and does not close its side.
  assert.deepEqual(plane.gone, [])
  plane.pass(4800)
  assert.deepEqual(plane.gone, [])
  plane.pass(400)
  assert.deepEqual(plane.gone, [0])
})
