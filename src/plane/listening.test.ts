import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { STATUS } from '../protocol/message-type.ts'
import { MessageWriter } from '../protocol/writer.ts'
import type { TestBackend } from '../server/shard-peer.fixture.ts'
import { openPlane, type TestClient, type TestPlane } from './plane.fixture.ts'
import { PlaneUpkeep } from './plane-upkeep.ts'

interface Bench {
  readonly plane: TestPlane
  readonly client: TestClient
  /** What is not answered by itself: `listener` or `server`, and the query. */
  readonly held: { readonly who: string; readonly sql: string; readonly backend: TestBackend }[]
  /** Queries of theirs that begin with this are left unanswered. */
  hold(who: 'listener' | 'server', start: string): void
  release(): void
  /** The server connection is asked what it listens to: this. */
  channels: string[]
}

const isListener = (backend: TestBackend): boolean =>
  backend.parameters.get('application_name') === 'switchyard listener'

function openBench(t: TestContext): Bench {
  const plane = openPlane(t)
  let holding: { who: string; start: string } | null = null
  const bench: Bench = {
    plane,
    client: plane.connect(),
    held: [],
    hold: (who, start) => {
      holding = { who, start }
    },
    release: () => {
      holding = null
      for (const { backend, sql } of bench.held.splice(0)) answer(backend, sql)
      plane.settle()
    },
    channels: [],
  }
  const answer = (backend: TestBackend, sql: string): void => {
    if (sql.includes('pg_listening_channels')) {
      for (const channel of bench.channels) backend.send(row(Buffer.from(channel).toString('hex')))
    }
    backend.ready()
  }
  plane.shard.onQuery = (backend) => {
    const sql = backend.queries.at(-1) ?? ''
    const who = isListener(backend) ? 'listener' : 'server'
    if (holding?.who === who && sql.startsWith(holding.start)) bench.held.push({ who, sql, backend })
    else answer(backend, sql)
  }
  bench.client.login()
  return bench
}

function row(value: string): Buffer {
  const writer = new MessageWriter()
  return Buffer.from(writer.begin(0x44).byte(0).byte(1).int32(value.length).raw(Buffer.from(value)).end().bytes)
}

function notify({ plane }: Bench, channel: string): void {
  const writer = new MessageWriter()
  const message = Buffer.from(writer.begin(0x41).int32(77).text(channel).text('').end().bytes)
  plane.shard.open.find(isListener)?.send(message)
  plane.settle()
}

/** Listens to a channel; its server connection is idle again. */
function listen(bench: Bench, channel: string): void {
  bench.channels = [channel]
  bench.client.query(`LISTEN ${channel}`)
  assert.deepEqual(bench.client.told(), ['Z I'])
}

const serverOf = ({ plane }: Bench): TestBackend =>
  plane.shard.open.find((backend) => !isListener(backend)) as TestBackend

test('LISTEN is sent when the listener listens, and answered when it has caught up', (t) => {
  const bench = openBench(t)
  bench.hold('listener', 'LISTEN')
  bench.channels = ['a']
  bench.client.query('LISTEN a')
  assert.deepEqual(
    bench.held.map(({ sql }) => sql),
    ['LISTEN "a"'],
  )
  assert.equal(serverOf(bench).queries.includes('LISTEN a'), false)
  notify(bench, 'a')
  bench.hold('listener', '')
  bench.held.splice(0)[0]?.backend.ready()
  bench.plane.settle()
  assert.equal(serverOf(bench).queries.includes('LISTEN a'), true)
  notify(bench, 'a')
  assert.deepEqual(bench.client.told(), [])
  bench.release()
  // The first one was there before LISTEN.
  assert.deepEqual(bench.client.told(), ['A', 'Z I'])
  assert.equal(serverOf(bench).queries.at(-1), 'UNLISTEN *')
})

test('a server connection that is lost behind the end of a transaction takes nothing with it', (t) => {
  const bench = openBench(t)
  listen(bench, 'a')
  bench.hold('listener', '')
  bench.client.query('SELECT 1')
  notify(bench, 'a')
  assert.deepEqual(bench.client.told(), [])
  serverOf(bench).close()
  bench.plane.settle()
  assert.deepEqual(bench.client.told(), ['A', 'Z I'])
  bench.release()
  assert.deepEqual(bench.client.told(), [])
  bench.client.query('SELECT 2')
  assert.deepEqual(bench.client.told(), ['Z I'])
})

test('but what the session listens to, if that was not known yet', (t) => {
  const bench = openBench(t)
  listen(bench, 'a')
  bench.hold('server', 'SELECT pg_catalog.encode')
  bench.client.query('LISTEN b')
  assert.equal(bench.held.length, 1)
  serverOf(bench).close()
  bench.plane.settle()
  assert.deepEqual(bench.client.told(), ['E FATAL 08006'])
})

test('a session of which it cannot be found out what it listens to is closed', (t) => {
  const bench = openBench(t)
  bench.hold('server', 'SELECT pg_catalog.encode')
  bench.client.query('LISTEN a')
  const { backend } = bench.held.splice(0)[0] as Bench['held'][number]
  backend.fail({ severity: 'ERROR', sqlstate: '57014', message: 'canceled' })
  backend.ready()
  bench.plane.settle()
  assert.deepEqual(bench.client.told(), ['E FATAL 08006'])
})

test('a listener that breaks keeps nobody waiting for the end of a transaction', (t) => {
  const bench = openBench(t)
  listen(bench, 'a')
  bench.hold('listener', '')
  bench.client.query('SELECT 1')
  assert.deepEqual(bench.client.told(), [])
  bench.hold('listener', 'nothing')
  bench.plane.shard.open.find(isListener)?.close()
  bench.plane.settle()
  assert.deepEqual(bench.client.told(), ['Z I'])
  bench.plane.pass(2000)
  assert.deepEqual(bench.client.told(), ['N WARNING 01000'])
})

test('requests behind the end of a transaction wait for it', (t) => {
  const bench = openBench(t)
  listen(bench, 'a')
  bench.hold('listener', '')
  bench.client.query('SELECT 1')
  bench.client.query('SELECT 2')
  assert.equal(serverOf(bench).queries.includes('SELECT 2'), false)
  bench.release()
  assert.deepEqual(bench.client.told(), ['Z I', 'Z I'])
})

test('what the server connection hears is not delivered twice', (t) => {
  const bench = openBench(t)
  listen(bench, 'a')
  const { onQuery } = bench.plane.shard
  bench.plane.shard.onQuery = (backend) => {
    if (!isListener(backend) && backend.queries.at(-1) === 'SELECT 1') {
      const writer = new MessageWriter()
      backend.send(Buffer.from(writer.begin(0x41).int32(backend.pid).text('a').text('').end().bytes))
      backend.send(Buffer.from(writer.reset().begin(0x41).int32(backend.pid).text('hidden').text('').end().bytes))
    }
    onQuery(backend)
  }
  bench.client.query('SELECT 1')
  assert.deepEqual(bench.client.told(), ['A', 'Z I'])
})

test('clients that leave are listened for no longer, at whatever moment', (t) => {
  const bench = openBench(t)
  listen(bench, 'a')
  const others = [bench.plane.connect().login(), bench.plane.connect().login()]
  bench.hold('listener', 'LISTEN')
  others[0]?.query('LISTEN b')
  bench.hold('listener', '')
  others[1]?.query('LISTEN c')
  bench.client.query('SELECT 1')
  for (const { peer } of [bench.client, ...others]) peer.close()
  bench.plane.settle()
  bench.release()
  new PlaneUpkeep(bench.plane.plane).run()
  bench.plane.settle()
  assert.equal(bench.plane.shard.open.some(isListener), false)
})

test('what a server notifies its session of comes to the client, also within the answer to a question of ours', (t) => {
  const bench = openBench(t)
  listen(bench, 'a')
  // Not heard by anybody else, so the session is pinned, and reviewed a little later.
  bench.channels = ['a', 'x']
  bench.client.query('LISTEN a')
  assert.deepEqual(bench.client.told(), ['Z I'])
  bench.hold('server', 'SELECT')
  bench.plane.pass(30)
  const [question] = bench.held.splice(0)
  assert.match(question?.sql ?? '', /pg_my_temp_schema/)
  const writer = new MessageWriter()
  writer.begin(0x41).int32(77).text('x').text('').end()
  writer.begin(0x5a).byte(STATUS.idle).end()
  question?.backend.send(Buffer.from(writer.bytes))
  bench.plane.settle()
  assert.deepEqual(bench.client.told(), ['A'])
})
