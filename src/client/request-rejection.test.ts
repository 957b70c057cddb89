import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { CLIENT, CLIENT_STATE } from '../memory/client-slots.ts'
import { POOL_F64 } from '../memory/pool-records.ts'
import { openPlane, type TestClient, type TestPlane } from '../plane/plane.fixture.ts'
import { bind, execute, parse, query, sync } from '../protocol/client-messages.fixture.ts'
import { STATUS } from '../protocol/message-type.ts'

const REFUSED = { severity: 'ERROR', sqlstate: '22023', message: 'invalid value for parameter "geqo"' } as const
const SKIPPED = { severity: 'ERROR', sqlstate: '25P02', message: 'current transaction is aborted' } as const

/** BEGIN is put off. */
function defer({ plane }: TestPlane): void {
  const { values } = plane
  const routing = { ...values.policy.routing, defersBegin: true }
  plane.setValues({ ...values, version: values.version + 1, policy: { ...values.policy, routing } })
}

/** A client with a setting that the one server connection, which others have used since, refuses. */
function open(t: TestContext): { plane: TestPlane; client: TestClient } {
  const plane = openPlane(t, {}, 1)
  const client = plane.connect().login('ada', [['geqo', 'off']])
  plane.connect().login().query('select 1')
  plane.shard.preparesAtOnce = true
  plane.shard.onQuery = (backend) => {
    const sql = backend.queries.at(-1) ?? ''
    const failure = sql.includes('geqo') ? REFUSED : sql.startsWith('select') ? SKIPPED : null
    if (failure !== null) backend.fail(failure)
    backend.ready(failure === null ? STATUS.idle : STATUS.failed)
  }
  return { plane, client }
}

test('a request on a server connection that cannot be made its session’s gets the reason, and nothing else', (t) => {
  const { plane, client } = open(t)
  client.send(query('select 1'))
  assert.deepEqual(client.told(), ['E ERROR 22023', 'Z I'])
  const { clients, pools } = plane.shared
  assert.deepEqual([clients.i32[CLIENT.state], pools.f64[POOL_F64.errors]], [CLIENT_STATE.idle, 1])
  plane.shard.onQuery = (backend) => backend.ready()
  client.query('select 2')
  assert.deepEqual(client.told(), ['Z I'], 'and the client goes on')
})

test('so does each of several requests', (t) => {
  const { client } = open(t)
  client.send(Buffer.concat([query('select 1'), query('select 2')]))
  assert.deepEqual(client.told(), ['E ERROR 22023', 'Z I', 'E ERROR 22023', 'Z I'])
})

test('an extended query without its Sync is ignored up to that', (t) => {
  const { plane, client } = open(t)
  client.send(Buffer.concat([parse('', 'select 1'), bind(''), execute()]))
  assert.deepEqual(client.told(), ['E ERROR 22023'])
  plane.shard.onQuery = (backend) => backend.ready()
  client.send(Buffer.concat([parse('', 'select 2'), sync()]))
  assert.deepEqual(client.told(), ['Z I'])
})

test('a transaction that its client believes in is a failed one then', (t) => {
  const { plane, client } = open(t)
  defer(plane)
  client.send(query('begin'))
  assert.deepEqual(client.told(), ['C', 'Z T'])
  client.send(query('select 1'))
  assert.deepEqual(client.told(), ['E ERROR 22023', 'Z E'])
})

test('the server connection is given to others when nothing of it is left there', (t) => {
  const { plane, client } = open(t)
  client.send(query('select 1'))
  const [backend] = plane.shard.open
  assert.deepEqual(backend?.queries.slice(-2), ['ROLLBACK', 'DISCARD ALL'])
  plane.shard.onQuery = (each) => each.ready()
  const other = plane.connect().login()
  other.query('select 1')
  assert.deepEqual([other.told(), plane.shard.open], [['Z I'], [backend]])
})

test('a request that waits in vain in a transaction which has only begun makes it a failed one', (t) => {
  const plane = openPlane(t, { queryWaitMs: 500 }, 1)
  defer(plane)
  const [client, other] = [plane.connect().login(), plane.connect().login()]
  client.send(query('begin'))
  plane.shard.onQuery = () => {}
  other.query('select pg_sleep(9)')
  client.send(query('select 1'))
  assert.deepEqual(client.told(), ['C', 'Z T'])
  plane.pass(600)
  assert.match(client.told().join(' '), /^E ERROR \w{5} Z E$/)
  client.send(query('rollback'))
  plane.shard.open[0]?.ready()
  plane.settle()
})

test('what is rejected outside of a transaction leaves none', (t) => {
  const plane = openPlane(t, { queryWaitMs: 500 }, 1)
  const [client, other] = [plane.connect().login(), plane.connect().login()]
  plane.shard.onQuery = () => {}
  other.query('select pg_sleep(9)')
  client.send(query('select 1'))
  plane.pass(600)
  assert.match(client.told().join(' '), /^E ERROR \w{5} Z I$/)
  plane.shard.open[0]?.ready()
  plane.settle()
})
