import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Testbed } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'
import type { WireClient } from '../support/wire-client.ts'
import * as wire from '../support/wire-frames.ts'
import { onlyValue, sqlstatesOf } from '../support/wire-message.ts'

/** Several names for the same database on the shard, each a pool with settings of its own. */
const bed = await Testbed.open({
  routerOnly: true,
  settings: ({ database }) => ({
    pool: { size: 3 },
    timeouts: { query_wait: '1500ms' },
    databases: {
      [database]: {},
      single: { name: database, pool_size: 1 },
      sessions: { name: database, pool_size: 2, pool_mode: 'session' },
      warm: { name: database, pool_size: 4, min_pool_size: 2 },
    },
  }),
})

async function pidOf(client: WireClient): Promise<string | null> {
  return onlyValue(await client.query('SELECT pg_backend_pid()'))
}

/** Backends of this file's database, seen from PostgreSQL. */
async function backends(): Promise<number> {
  return (await bed.cluster.backends(bed.database)).length
}

async function waiting(database: string): Promise<number> {
  return (await bed.pool(database)).cl_waiting ?? 0
}

/** Leaves no server connection behind, so that each test starts with empty pools. */
async function emptyPools(): Promise<void> {
  await bed.console.query('RECONNECT')
  await waitUntil('all server connections to be closed', async () => (await bed.servers()).length === 0)
}

test('many clients share few server connections, and every answer reaches its own client', async () => {
  const clients = await bed.openMany(40)
  let most = 0
  await Promise.all(
    clients.map(async (client, at) => {
      for (let round = 0; round < 10; round += 1) {
        assert.equal(onlyValue(await client.query(`SELECT '${at}:${round}'`)), `${at}:${round}`)
        if (at === 0) most = Math.max(most, await backends())
      }
    }),
  )
  assert.ok(most <= 3, `${most} server connections`)
})

test('a transaction keeps its server connection to its end, and not longer', async () => {
  const [holder, other] = await bed.openMany(2, { database: 'single' })
  await holder!.query('BEGIN')
  const pid = await pidOf(holder!)
  other!.send(wire.query('SELECT pg_backend_pid()'))
  await waitUntil('the other client to wait', async () => (await waiting('single')) === 1)
  assert.equal(await pidOf(holder!), pid)
  await holder!.query('COMMIT')
  assert.equal(onlyValue(await other!.until('Z')), pid, 'the server connection was not passed on')
})

test('a failed transaction keeps its server connection until ROLLBACK', async () => {
  const [holder, other] = await bed.openMany(2, { database: 'single' })
  await holder!.query('BEGIN')
  await holder!.query('SELECT 1/0')
  other!.send(wire.query('SELECT 1'))
  await waitUntil('the other client to wait', async () => (await waiting('single')) === 1)
  await holder!.query('ROLLBACK')
  assert.equal(onlyValue(await other!.until('Z')), '1')
})

test('a client that vanishes in a transaction: it is undone before the next client has the server connection', async () => {
  const [holder, other] = await bed.openMany(2, { database: 'single' })
  await other!.query('CREATE TABLE abandoned (x int)')
  await holder!.query('BEGIN; INSERT INTO abandoned VALUES (1)')
  other!.send(wire.query('SELECT count(*) FROM abandoned'))
  await waitUntil('the other client to wait', async () => (await waiting('single')) === 1)
  holder!.reset()
  const answer = await other!.until('Z')
  assert.equal(onlyValue(answer), '0')
  assert.equal(answer.at(-1)?.body.toString(), 'I', 'it is in the transaction of somebody else')
})

test('the server connection used last is used first', async () => {
  await emptyPools()
  const clients = await bed.openMany(3)
  await Promise.all(clients.map((client) => client.query('SELECT pg_sleep(0.2)')))
  const last = await pidOf(clients[0]!)
  for (let round = 0; round < 12; round += 1) assert.equal(await pidOf(clients[round % 3]!), last)
})

test('waiting clients are served in the order in which they came', async () => {
  const [holder, ...queue] = await bed.openMany(9, { database: 'single' })
  await holder!.query('CREATE TABLE arrivals (id int GENERATED ALWAYS AS IDENTITY, who int)')
  await holder!.query('BEGIN')
  for (const [at, client] of queue.entries()) {
    client.send(wire.query(`INSERT INTO arrivals (who) VALUES (${at})`))
    await waitUntil(`client ${at} to wait`, async () => (await waiting('single')) === at + 1)
  }
  await holder!.query('COMMIT')
  for (const client of queue) assert.deepEqual(sqlstatesOf(await client.until('Z')), [])
  const rows = await bed.sql('SELECT who FROM arrivals ORDER BY id')
  assert.deepEqual(
    rows.map((row) => row.who),
    queue.map((_, at) => at),
  )
})

test('a client that waits too long is told so, stays connected, and works again', async () => {
  const [holder, late] = await bed.openMany(2, { database: 'single' })
  await holder!.query('BEGIN')
  const started = performance.now()
  const answer = await late!.query('SELECT 1')
  assert.ok(performance.now() - started >= 1_400, 'told too early')
  assert.equal(answer.at(-1)?.body.toString(), 'I')
  assert.match(sqlstatesOf(answer)[0] ?? 'none', /^(53300|57014|08006|57P05)$/)
  assert.match(answer[0]?.fields.M ?? '', /query_wait/)
  await holder!.query('COMMIT')
  assert.equal(onlyValue(await late!.query('SELECT 1')), '1')
})

test('a pipelining client that waits too long gets one error and its readies, and works again', async () => {
  const [holder, late] = await bed.openMany(2, { database: 'single' })
  await holder!.query('BEGIN')
  const answer = await late!.exchange(wire.extendedQuery('SELECT $1::int', ['1']))
  assert.deepEqual(sqlstatesOf(answer).length, 1)
  await holder!.query('COMMIT')
  assert.equal(onlyValue(await late!.exchange(wire.extendedQuery('SELECT $1::int', ['2']))), '2')
})

test('a waiting client that leaves is forgotten', async () => {
  const [holder, impatient, patient] = await bed.openMany(3, { database: 'single' })
  await holder!.query('BEGIN')
  impatient!.send(wire.query('SELECT 1'))
  await waitUntil('one client to wait', async () => (await waiting('single')) === 1)
  impatient!.close()
  await waitUntil('nobody to wait', async () => (await waiting('single')) === 0)
  patient!.send(wire.query('SELECT 2'))
  await waitUntil('one client to wait', async () => (await waiting('single')) === 1)
  await holder!.query('COMMIT')
  assert.equal(onlyValue(await patient!.until('Z')), '2')
})

test('session mode: a client has its server connection from its first query to its end', async () => {
  const [first, second, third] = await bed.openMany(3, { database: 'sessions' })
  const pids = [await pidOf(first!), await pidOf(second!)]
  assert.notEqual(pids[0], pids[1])
  third!.send(wire.query('SELECT pg_backend_pid()'))
  await waitUntil('the third client to wait', async () => (await waiting('sessions')) === 1)
  assert.equal(await pidOf(first!), pids[0])
  await first!.goodbye()
  assert.equal(onlyValue(await third!.until('Z')), pids[0])
})

test('session mode: what a session leaves behind is gone before the next client has its server connection', async () => {
  // With another one that is idle, that one would do while this one forgets.
  await emptyPools()
  const first = await bed.open({ database: 'sessions' })
  await first.query(
    `SET work_mem = '7MB'; CREATE TEMP TABLE mine (x int); SELECT pg_advisory_lock(77); PREPARE p AS SELECT 1`,
  )
  const pid = await pidOf(first)
  await first.goodbye()
  const second = await bed.open({ database: 'sessions' })
  assert.equal(await pidOf(second), pid)
  assert.notEqual(onlyValue(await second.query('SHOW work_mem')), '7MB')
  assert.deepEqual(sqlstatesOf(await second.query('SELECT * FROM mine')), ['42P01'])
  assert.deepEqual(sqlstatesOf(await second.query('EXECUTE p')), ['26000'])
  assert.equal(
    onlyValue(
      await second.query('SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = $$advisory$$'),
    ),
    '0',
  )
})

test('a pool in use keeps its least number of server connections open', async () => {
  const client = await bed.open({ database: 'warm' })
  await client.query('SELECT 1')
  await waitUntil('two server connections', async () => {
    const { sv_idle = 0, sv_active = 0 } = await bed.pool('warm')
    return sv_idle + sv_active >= 2
  })
})

test('server connections are opened only when needed: clients that log in and say nothing cost none', async () => {
  await emptyPools()
  await bed.openMany(20)
  const used = (await bed.servers()).filter((server) => server.database === bed.database)
  // One may have been opened to learn what the shard tells its clients at login.
  assert.ok(used.length <= 1, `${used.length} server connections`)
})
