import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Testbed } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'
import type { WireClient } from '../support/wire-client.ts'
import * as wire from '../support/wire-frames.ts'
import { onlyValue, sqlstatesOf } from '../support/wire-message.ts'

const bed = await Testbed.open({ routerOnly: true, settings: { pool: { size: 3 } } })

async function pidOf(client: WireClient): Promise<string | null> {
  return onlyValue(await client.query('SELECT pg_backend_pid()'))
}

/** Ends backends of this file's database as an operator would, and waits until they are gone. */
async function terminate(pid?: string | null): Promise<void> {
  const which = pid === undefined ? '' : `AND pid = ${pid}`
  await waitUntil('the backends to be gone', async () => {
    // Each time anew: one that was about to log in is there only now.
    await bed.cluster.sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 ${which}`, [
      bed.database,
    ])
    const left = await bed.cluster.backends(bed.database)
    return pid === undefined ? left.length === 0 : left.every((backend) => String(backend.pid) !== pid)
  })
}

test('killed while idle: the client does not notice', async () => {
  const clients = await bed.openMany(5)
  for (let round = 0; round < 15; round += 1) {
    await Promise.all(clients.map((client) => client.query('SELECT pg_sleep(0.005)')))
    await terminate()
    const answers = await Promise.all(clients.map((client) => client.query('SELECT 1')))
    for (const answer of answers) assert.deepEqual(sqlstatesOf(answer), [], `round ${round}`)
  }
})

test('killed while idle, at the very moment of a query: the client does not notice', async () => {
  const client = await bed.open()
  for (let round = 0; round < 40; round += 1) {
    const pid = await pidOf(client)
    const killing = terminate(pid)
    const answer = await client.query('SELECT 1')
    // A query that reached the dying backend may be lost; it must be told then, and the client must stay.
    assert.match(sqlstatesOf(answer)[0] ?? '57P01', /^(57P01|08\w\w\w)$/)
    await killing
    assert.equal(onlyValue(await client.query('SELECT 2')), '2', `round ${round}`)
  }
})

test('killed while working: the client is told the reason, stays connected, and works again', async () => {
  const client = await bed.open()
  const pid = await pidOf(client)
  client.send(wire.query('SELECT pg_sleep(60)'))
  await waitUntil('the query to run', async () => (await bed.pool()).sv_active === 1)
  await terminate(pid)
  const answer = await client.until('Z')
  assert.equal(sqlstatesOf(answer).length, 1)
  assert.match(sqlstatesOf(answer)[0]!, /^(57P01|08\w\w\w)$/)
  const error = answer.find((message) => message.type === 'E')
  assert.equal(error?.fields.S, 'ERROR', 'FATAL would tell the driver that its connection is lost')
  assert.equal(answer.at(-1)?.body.toString(), 'I')
  const shown = (await bed.show('CLIENTS')).find(({ database }) => database === bed.database)
  assert.equal(shown?.outstanding, 0, 'it is owed nothing any more')
  assert.equal(onlyValue(await client.query('SELECT 1')), '1')
})

test('killed while working in the extended protocol: one error, then Sync is answered', async () => {
  const client = await bed.open()
  const pid = await pidOf(client)
  client.send(wire.extendedQuery('SELECT pg_sleep(60)'), wire.extendedQuery('SELECT 1'))
  await waitUntil('the query to run', async () => (await bed.pool()).sv_active === 1)
  await terminate(pid)
  const first = await client.until('Z')
  assert.equal(sqlstatesOf(first).length, 1)
  await client.until('Z')
  assert.equal(onlyValue(await client.query('SELECT 3')), '3')
})

test('killed between the statements of a transaction: the next one is told, and nothing of it is done', async () => {
  await bed.sql(`CREATE TABLE halves (x text); GRANT ALL ON halves TO PUBLIC`)
  const client = await bed.open()
  await client.query(`BEGIN; INSERT INTO halves VALUES ('before')`)
  const pid = await pidOf(client)
  await terminate(pid)
  const answer = await client.query(`INSERT INTO halves VALUES ('after')`)
  assert.equal(sqlstatesOf(answer).length, 1, answer.join(' '))
  await client.query('ROLLBACK')
  assert.equal(onlyValue(await client.query('SELECT count(*) FROM halves')), '0')
})

for (const [next, sqlstates, status] of [
  ['COMMIT', ['08006'], 'I'],
  ['end work', ['08006'], 'I'],
  ['ROLLBACK', [], 'I'],
  [' Abort', [], 'I'],
  ['SELECT 1', ['08006'], 'E'],
] as const) {
  test(`killed between the statements of a transaction, then ${next}: nobody takes the transaction for done`, async () => {
    const client = await bed.open()
    await client.query('BEGIN')
    await terminate(await pidOf(client))
    const answer = await client.query(next)
    assert.deepEqual([sqlstatesOf(answer), answer.at(-1)?.body.toString()], [sqlstates, status])
    await client.query('ROLLBACK')
    assert.equal(onlyValue(await client.query('SELECT 3')), '3')
  })
}

test('killed between the statements of a transaction: an extended COMMIT fails, too', async () => {
  const client = await bed.open()
  await client.query('BEGIN')
  await terminate(await pidOf(client))
  const answer = await client.exchange(wire.extendedQuery('COMMIT'))
  assert.deepEqual([sqlstatesOf(answer), answer.at(-1)?.body.toString()], [['08006'], 'E'])
  assert.deepEqual(sqlstatesOf(await client.exchange(wire.extendedQuery('ROLLBACK'))), [])
  assert.equal(onlyValue(await client.query('SELECT 3')), '3')
})

test('killed in a transaction: statements that were sent ahead are not run on their own', async () => {
  await bed.sql(`CREATE TABLE ahead (x text); GRANT ALL ON ahead TO PUBLIC`)
  const client = await bed.open()
  await client.query('BEGIN')
  const pid = await pidOf(client)
  await terminate(pid)
  client.send(
    wire.query(`INSERT INTO ahead VALUES ('one')`),
    wire.query(`INSERT INTO ahead VALUES ('two')`),
    wire.query('COMMIT'),
  )
  // It was sent as one transaction: either all of it or nothing. The session may end here, too.
  await client.until('Z').catch(() => {})
  await client.until('Z').catch(() => {})
  await client.until('Z').catch(() => {})
  const [row] = await bed.sql('SELECT count(*)::int AS rows FROM ahead')
  assert.equal(row?.rows, 0)
})

const LOST = ['08006', 'E']
const ROLLED_BACK = ['08006', 'I']
const UNKNOWN = ['08007', 'I']

for (const [behind, outcome] of [
  [['COMMIT'], UNKNOWN],
  [['COMMIT', 'SELECT 1'], UNKNOWN],
  [['END AND CHAIN'], UNKNOWN],
  [["PREPARE TRANSACTION 'a'"], UNKNOWN],
  [['ROLLBACK TO a', 'COMMIT WORK', 'BEGIN'], UNKNOWN],
  [['ROLLBACK'], ROLLED_BACK],
  [['ABORT AND NO CHAIN', 'SELECT 1'], ROLLED_BACK],
  [['ROLLBACK TO SAVEPOINT a'], LOST],
  [["COMMIT PREPARED 'a'"], LOST],
  [["ROLLBACK PREPARED 'a'"], LOST],
  [['SELECT 1'], LOST],
] as const) {
  test(`killed in a transaction with ${behind.join('; ')} sent behind: ${outcome.join(' ')}`, async () => {
    const client = await bed.open()
    await client.query('BEGIN')
    const pid = await pidOf(client)
    client.send(wire.query('SELECT pg_sleep(60)'), ...behind.map(wire.query))
    await waitUntil('the query to run', async () => (await bed.pool()).sv_active === 1)
    await terminate(pid)
    for (let n = 0; n <= behind.length; n += 1) {
      const answer = await client.until('Z')
      assert.deepEqual([...sqlstatesOf(answer), answer.at(-1)?.body.toString()], outcome)
    }
    const [status, sqlstates] = outcome === LOST ? ['E', ['25P02']] : ['I', []]
    const next = await client.query('SELECT 1')
    assert.deepEqual([sqlstatesOf(next), next.at(-1)?.body.toString()], [sqlstates, status])
  })
}

test('killed behind a COMMIT that was answered: the next transaction is lost, not in doubt', async () => {
  const client = await bed.open()
  await client.query('BEGIN')
  const pid = await pidOf(client)
  client.send(wire.query('COMMIT'), wire.query('BEGIN'), wire.query('SELECT pg_sleep(60)'))
  await client.until('Z')
  await client.until('Z')
  await terminate(pid)
  const answer = await client.until('Z')
  assert.deepEqual([...sqlstatesOf(answer), answer.at(-1)?.body.toString()], LOST)
})

test('killed while pinned: the client is told, and its lost state is not pretended to be there', async () => {
  const client = await bed.open()
  await client.query('CREATE TEMP TABLE mine (x int)')
  await terminate(await pidOf(client))
  const first = await client.query('SELECT * FROM mine').catch(() => null)
  if (first === null) return
  assert.equal(sqlstatesOf(first).length, 1)
  assert.deepEqual(sqlstatesOf(await client.query('SELECT * FROM mine')), ['42P01'])
})

test('killed in the middle of COPY in: the client is told and stays or is closed, nothing hangs', async () => {
  await bed.sql('CREATE TABLE poured (x text); GRANT ALL ON poured TO PUBLIC')
  const client = await bed.open()
  const pid = await pidOf(client)
  client.send(wire.query('COPY poured FROM STDIN'))
  await client.until('G')
  client.send(wire.copyData('one\n'))
  await terminate(pid)
  for (let n = 0; n < 100; n += 1) client.send(wire.copyData(`${'x'.repeat(1000)}\n`))
  client.send(wire.copyDone())
  const told = await client.until('Z').catch(() => null)
  if (told !== null) {
    assert.equal(sqlstatesOf(told).length, 1)
    assert.equal(onlyValue(await client.query('SELECT 1')), '1')
  }
  const [row] = await bed.sql('SELECT count(*)::int AS rows FROM poured')
  assert.equal(row?.rows, 0)
})

test('killed again and again under load: every query is answered or told, and all clients stay', async () => {
  const clients = await bed.openMany(8)
  let running = true
  const killer = (async () => {
    while (running) {
      await bed.cluster.sql('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [bed.database])
      await new Promise((resolve) => setTimeout(resolve, 40))
    }
  })()
  let answered = 0
  await Promise.all(
    clients.map(async (client, at) => {
      for (let n = 0; n < 80; n += 1) {
        const answer = await client.query(`SELECT '${at}:${n}' FROM pg_sleep(0.002)`)
        if (sqlstatesOf(answer).length > 0) continue
        assert.equal(onlyValue(answer), `${at}:${n}`)
        answered += 1
      }
    }),
  )
  running = false
  await killer
  assert.ok(answered > 0)
})

test('killed while a SET is on its way: it was never said to be done, so the session goes on without it', async () => {
  const client = await bed.open()
  await client.query(`SET app.colour = 'green'; SET work_mem = '8MB'`)
  const pid = await pidOf(client)
  client.send(wire.query(`SELECT pg_sleep(60); SET app.colour = 'red'; SET work_mem = '9MB'`))
  await waitUntil('the query to run', async () => (await bed.pool()).sv_active === 1)
  await terminate(pid)
  assert.deepEqual(sqlstatesOf(await client.until('Z')), ['08006'])
  assert.equal(
    onlyValue(await client.query(`SELECT current_setting('app.colour') || current_setting('work_mem')`)),
    'green8MB',
  )
})

test('killed behind a SET that was said to be done, before its value is known: the session cannot go on', async () => {
  const client = await bed.open()
  const pid = await pidOf(client)
  client.send(wire.query(`SET app.colour = 'red'`), wire.query('SELECT pg_sleep(60)'))
  assert.deepEqual(sqlstatesOf(await client.until('Z')), [])
  await waitUntil('the query to run', async () => (await bed.pool()).sv_active === 1)
  await terminate(pid)
  const { messages } = await client.untilClosed()
  assert.match(String(messages.at(-1)?.fields.M), /session state \(setting\)/)
})
