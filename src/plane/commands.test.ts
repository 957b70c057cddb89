import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { PlaneEvent } from '../memory/control-protocol.ts'
import { PLANE_F64 } from '../memory/plane-records.ts'
import { STATUS } from '../protocol/message-type.ts'
import { PlaneCommands } from './commands.ts'
import { openPlane, type TestClient, type TestPlane } from './plane.fixture.ts'

interface Bench {
  readonly test: TestPlane
  readonly commands: PlaneCommands
  /** `id`, or `id: error`, of what is done. */
  readonly done: string[]
  /** How often the plane was told to exit. */
  exits(): number
}

function open(t: TestContext, poolSize?: number): Bench {
  const test = openPlane(t, {}, poolSize)
  const done: string[] = []
  let exits = 0
  const tell = (event: PlaneEvent): void => {
    assert.ok(event.op === 'done')
    done.push(event.error === null ? `${event.id}` : `${event.id}: ${event.error}`)
  }
  const commands = new PlaneCommands(test.plane, tell, () => exits++)
  return { test, commands, done, exits: () => exits }
}

/** A client in a transaction, which the shard keeps open until `commit`. */
function begin({ test }: Bench, database = 'shop'): TestClient {
  const client = test.connect()
  client.startup('ada', database)
  test.shard.onQuery = (backend) => backend.ready(STATUS.inTransaction)
  client.query('begin')
  assert.equal(client.told().at(-1), 'Z T')
  test.shard.onQuery = (backend) => backend.ready()
  return client
}

function commit(client: TestClient): void {
  client.query('commit')
  assert.equal(client.told().at(-1), 'Z I')
}

test('values and topology replace what the plane has', (t) => {
  const { test, commands, done } = open(t)
  const { values } = test.plane
  commands.run({ op: 'values', values: { ...values, version: 7 } })
  commands.run({ op: 'topology', topology: { ...values.topology, version: 8 } })
  assert.deepEqual([test.plane.values.version, test.plane.values.topology.version, done], [7, 8, []])
})

test('an account is the answer to a lookup', (t) => {
  const { test, commands, done } = open(t)
  const answers: (string | null)[] = []
  test.plane.accounts.lookUp('ada', 'shop', ({ error }) => answers.push(error))
  commands.run({ op: 'account', user: 'ada', account: null, error: 'the shard is away' })
  assert.deepEqual([answers, done], [['the shard is away'], []])
})

test('a pause is done when the last server connection is closed, idle ones at once', (t) => {
  const bench = open(t)
  const { test, commands, done } = bench
  const client = begin(bench)
  commands.run({ op: 'pause', id: 1, database: 'shop' })
  test.pass(100)
  assert.deepEqual(done, [])
  commit(client)
  test.pass(100)
  assert.deepEqual([done, test.shard.open.length], [['1'], 0])
})

test('a pause of one database leaves the others alone', (t) => {
  const bench = open(t)
  const { test, commands, done } = bench
  const client = begin(bench, 'other')
  commands.run({ op: 'pause', id: 1, database: 'shop' })
  assert.deepEqual(done, ['1'])
  commit(client)
  client.query('select 1')
  assert.deepEqual([client.told(), test.shard.open.length], [['Z I'], 1])
})

test('requests wait while paused, and go on with resume', (t) => {
  const { test, commands, done } = open(t)
  const client = test.connect().login()
  commands.run({ op: 'pause', id: 1, database: null })
  client.query('select 1')
  assert.deepEqual(client.told(), [])
  commands.run({ op: 'resume', id: 2, database: null })
  test.settle()
  assert.deepEqual([client.told(), done], [['Z I'], ['1', '2']])
})

test('a hold of a shard waits for its transactions, then closes what is left, and requests wait for the release', (t) => {
  const bench = open(t)
  const { test, commands, done } = bench
  const [inside, outside] = [begin(bench), test.connect().login()]
  commands.run({ op: 'hold', id: 1, shard: 0, deadlineMs: 5000 })
  outside.query('select 1')
  test.pass(100)
  assert.deepEqual([outside.told(), done], [[], []])
  commit(inside)
  test.pass(100)
  assert.deepEqual([done, test.shard.open.length], [['1'], 0])
  commands.run({ op: 'release', id: 2, shard: 0 })
  test.settle()
  assert.deepEqual([outside.told(), inside.ended, done], [['Z I'], false, ['1', '2']])
})

test('a hold ends what runs at its deadline, and whoever ran it is told and stays', (t) => {
  const bench = open(t)
  const { test, commands, done } = bench
  const client = begin(bench)
  commands.run({ op: 'hold', id: 1, shard: 0, deadlineMs: 50 })
  test.pass(100)
  assert.deepEqual([done, test.shard.open.length, client.ended], [['1'], 0, false])
  assert.equal(client.told()[0], 'N WARNING 08006')
})

test('a hold of one shard leaves the others alone', (t) => {
  const { test, commands, done } = open(t)
  const client = test.connect().login()
  commands.run({ op: 'hold', id: 1, shard: 7, deadlineMs: 50 })
  client.query('select 1')
  assert.deepEqual([client.told(), done], [['Z I'], ['1']])
})

test('a hold outlives a RESUME, and ends when control knows nothing of it', (t) => {
  const { test, commands } = open(t)
  const client = test.connect().login()
  commands.run({ op: 'hold', id: 1, shard: 0, deadlineMs: 0 })
  client.query('select 1')
  commands.run({ op: 'resume', id: 2, database: null })
  commands.run({ op: 'holds', shards: [0] })
  test.settle()
  assert.deepEqual(client.told(), [])
  commands.run({ op: 'holds', shards: [] })
  test.settle()
  assert.deepEqual(client.told(), ['Z I'])
})

test('reconnect closes server connections as they become free, and is done at once', (t) => {
  const bench = open(t)
  const { test, commands, done } = bench
  const client = begin(bench)
  commands.run({ op: 'reconnect', id: 1, database: 'shop' })
  test.settle()
  assert.deepEqual([done, test.shard.open.length], [['1'], 1])
  commit(client)
  test.settle()
  assert.equal(test.shard.open.length, 0)
})

test('reconnect of another database closes nothing', (t) => {
  const { test, commands, done } = open(t)
  test.connect().login()
  commands.run({ op: 'reconnect', id: 1, database: 'other' })
  test.settle()
  assert.deepEqual([done, test.shard.open.length], [['1'], 1])
})

test('kill ends the clients and server connections of a database, and new ones wait for resume', (t) => {
  const bench = open(t)
  const { test, commands, done } = bench
  const [killed, spared] = [begin(bench), begin(bench, 'other')]
  commands.run({ op: 'kill', id: 1, database: 'shop' })
  test.settle()
  assert.deepEqual([killed.told(), killed.ended, done], [['E FATAL 57P01'], true, ['1']])
  assert.deepEqual(
    test.shard.open.map(({ parameters }) => parameters.get('database')),
    ['other'],
  )
  commit(spared)
  const next = test.connect()
  next.startup('ada')
  next.query('select 1')
  assert.equal(next.told().at(-1), 'Z I')
  assert.deepEqual(next.told(), [])
  commands.run({ op: 'resume', id: 2, database: 'shop' })
  test.settle()
  assert.deepEqual([next.told(), done], [['Z I'], ['1', '2']])
})

test('kill without a database ends all clients but those of the console', (t) => {
  const { test, commands } = open(t)
  const [console, shop] = [test.connect(), test.connect()]
  console.startup('ada', 'console')
  shop.startup('ada', 'shop')
  for (const client of [console, shop]) client.told()
  test.plane.setValues({ ...test.plane.values, consoleDatabases: ['console'] })
  commands.run({ op: 'kill', id: 1, database: null })
  test.settle()
  assert.deepEqual([console.told(), console.ended], [[], false])
  assert.deepEqual([shop.told(), shop.ended], [['E FATAL 57P01'], true])
  assert.equal(test.shard.open.length, 0)
})

test('one client is killed by its slot, if it is still that client', (t) => {
  const { test, commands, done } = open(t)
  const [first, second] = [test.connect().login(), test.connect().login()]
  commands.run({ op: 'kill-client', id: 1, client: 0, generation: 2 })
  assert.deepEqual([first.told(), first.ended, done], [[], false, ['1: that client is gone already']])
  commands.run({ op: 'kill-client', id: 2, client: 0, generation: 1 })
  test.settle()
  assert.deepEqual([first.told(), first.ended, done.at(-1)], [['E FATAL 57P01'], true, '2'])
  assert.deepEqual([second.told(), second.ended, test.plane.draining], [[], false, false])
})

test('a drain is done when no client is left', (t) => {
  const bench = open(t)
  const { test, commands, done } = bench
  const client = begin(bench)
  commands.run({ op: 'drain', id: 1, awaited: 'transactions', deadlineMs: 5000 })
  test.pass(1000)
  assert.deepEqual([client.told(), client.ended, done], [[], false, []])
  client.query('commit')
  assert.deepEqual([client.told(), client.ended], [['Z I', 'E FATAL 57P01'], true])
  client.peer.end()
  test.settle()
  test.pass(100)
  assert.deepEqual(done, ['1'])
})

test('a drain that takes too long says so', (t) => {
  const bench = open(t)
  const { test, commands, done } = bench
  begin(bench)
  commands.run({ op: 'drain', id: 1, awaited: 'transactions', deadlineMs: 5000 })
  assert.equal(bench.exits(), 0)
  test.pass(4900)
  assert.deepEqual(done, [])
  test.pass(200)
  assert.deepEqual(done, ['1: the deadline has passed'])
  test.pass(1000)
  assert.equal(done.length, 1)
})

test('without clients a drain is done at once', (t) => {
  const { commands, done } = open(t)
  commands.run({ op: 'drain', id: 1, awaited: 'transactions', deadlineMs: 5000 })
  assert.deepEqual(done, ['1'])
})

test('a drain that waits for clients tells nobody, refuses new ones, and has no end without a deadline', (t) => {
  const { test, commands, done } = open(t)
  const client = test.connect().login()
  commands.run({ op: 'drain', id: 1, awaited: 'clients', deadlineMs: null })
  const late = test.connect()
  late.startup('ada')
  assert.deepEqual([late.told(), late.ended], [['E FATAL 57P03'], true])
  late.peer.close()
  client.query('select 1')
  test.pass(1e7)
  assert.deepEqual([client.told(), client.ended, done], [['Z I'], false, []])
  client.peer.close()
  test.settle()
  test.pass(100)
  assert.deepEqual(done, ['1'])
})

test('two that take long are both answered', (t) => {
  const bench = open(t)
  const { test, commands, done } = bench
  const client = begin(bench)
  commands.run({ op: 'pause', id: 1, database: 'shop' })
  commands.run({ op: 'pause', id: 2, database: null })
  commit(client)
  test.pass(100)
  assert.deepEqual(done, ['1', '2'])
})

test('exit ends the plane', (t) => {
  const { commands, exits } = open(t)
  commands.run({ op: 'exit' })
  assert.equal(exits(), 1)
})

test('whoever was answered finds what it asked for in the counters: they are as of now', (t) => {
  const { test, commands } = open(t)
  test.plane.now += 300
  commands.run({ op: 'resume', id: 1, database: null })
  assert.equal(test.shared.planes.f64[PLANE_F64.turnedAt], test.plane.now)
})
