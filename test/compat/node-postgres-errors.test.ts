import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import pg from 'pg'
import { Testbed } from '../support/testbed.ts'
import { waitUntil, within } from '../support/wait-until.ts'

const bed = await Testbed.open({ settings: { pool: { size: 3 } } })

async function errorOf(query: Promise<unknown>): Promise<pg.DatabaseError> {
  const error = await query.then(
    () => assert.fail('the query should have failed'),
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof pg.DatabaseError, String(error))
  return error
}

/** Closes the clients with this application_name from outside, as an administrator would. */
async function endClients(applicationName: string): Promise<void> {
  if (bed.isDirect) {
    await bed.sql('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1', [
      applicationName,
    ])
    return
  }
  const clients = await bed.show('CLIENTS')
  for (const client of clients) {
    if (client.application_name === applicationName) await bed.console.query(`KILL_CLIENT ${client.id}`)
  }
}

test('an error that a function raises has every field that it was given', async () => {
  const client = await bed.connectPg()
  const raise = `DO $$ BEGIN
    RAISE EXCEPTION 'the message with "quotes" and ünïcödé' USING
      ERRCODE = 'ZX123', DETAIL = E'a detail\\nof two lines', HINT = 'a hint', COLUMN = 'a column',
      CONSTRAINT = 'a constraint', DATATYPE = 'a type', TABLE = 'a table', SCHEMA = 'a schema';
  END $$`
  const {
    message,
    severity,
    code,
    detail,
    hint,
    column,
    constraint,
    dataType,
    table,
    schema,
    where,
    file,
    line,
    routine,
  } = await errorOf(client.query(raise))
  assert.deepEqual(
    { message, severity, code, detail, hint, column, constraint, dataType, table, schema, where, file, routine },
    {
      message: 'the message with "quotes" and ünïcödé',
      severity: 'ERROR',
      code: 'ZX123',
      detail: 'a detail\nof two lines',
      hint: 'a hint',
      column: 'a column',
      constraint: 'a constraint',
      dataType: 'a type',
      table: 'a table',
      schema: 'a schema',
      where: 'PL/pgSQL function inline_code_block line 2 at RAISE',
      file: 'pl_exec.c',
      routine: 'exec_stmt_raise',
    },
  )
  assert.match(String(line), /^\d+$/)
})

test('positions count in the text that the client sent, also of a named statement', async () => {
  const client = await bed.connectPg()
  const simple = await errorOf(client.query('SELECT 1, wrong'))
  assert.deepEqual([simple.code, simple.position], ['42703', '11'])
  const named = await errorOf(client.query({ name: 'bad', text: 'SELECT $1::int, ü, wrong', values: [1] }))
  assert.deepEqual([named.code, named.position], ['42703', '17'])
  const inner = await errorOf(client.query(`DO $$ BEGIN EXECUTE 'SELECT 1 FRM nothing'; END $$`))
  assert.deepEqual([inner.code, inner.internalPosition, inner.internalQuery], ['42601', '14', 'SELECT 1 FRM nothing'])
})

test('each of many clients gets the errors and notices of its own queries', async () => {
  const pool = bed.openPool({ max: 12 })
  await pool.query('CREATE TABLE numbers (n int CONSTRAINT positive CHECK (n > 0))')
  await Promise.all(
    Array.from({ length: 120 }, async (_, n) => {
      if (n % 3 === 0) {
        const error = await errorOf(pool.query('INSERT INTO numbers VALUES ($1)', [-n - 1]))
        assert.deepEqual([error.code, error.table, error.constraint], ['23514', 'numbers', 'positive'])
        assert.equal(error.detail, `Failing row contains (${-n - 1}).`)
      } else if (n % 3 === 1) {
        assert.equal(
          (await errorOf(pool.query(`SELECT 'x${n}'::int`))).message,
          `invalid input syntax for type integer: "x${n}"`,
        )
      } else {
        assert.equal((await pool.query('INSERT INTO numbers VALUES ($1)', [n])).rowCount, 1)
      }
    }),
  )
  const { rows } = await pool.query('SELECT count(*)::int AS n FROM numbers')
  assert.deepEqual(rows, [{ n: 40 }])
})

test('a notice has its fields, and arrives before the result', async () => {
  const client = await bed.connectPg()
  const notices: unknown[] = []
  client.on('notice', ({ severity, code, message, detail, hint }) => {
    notices.push({ severity, code, message, detail, hint })
  })
  await client.query(`DO $$ BEGIN
    FOR n IN 1 .. 3 LOOP RAISE WARNING 'warning %', n USING DETAIL = 'why', HINT = 'what'; END LOOP;
  END $$`)
  assert.deepEqual(
    notices,
    [1, 2, 3].map((n) => ({
      severity: 'WARNING',
      code: '01000',
      message: `warning ${n}`,
      detail: 'why',
      hint: 'what',
    })),
  )
})

test('an error among several statements of one query undoes the ones before it', async () => {
  const client = await bed.connectPg()
  await client.query('CREATE TABLE several (n int)')
  const error = await errorOf(
    client.query('INSERT INTO several VALUES (1); SELECT 1/0; INSERT INTO several VALUES (2)'),
  )
  assert.equal(error.code, '22012')
  assert.deepEqual((await client.query('SELECT * FROM several')).rows, [])
  const results = (await client.query('INSERT INTO several VALUES (1), (2); SELECT n FROM several')) as unknown
  assert.deepEqual(
    (results as pg.QueryResult[]).map(({ command, rowCount }) => [command, rowCount]),
    [
      ['INSERT', 2],
      ['SELECT', 2],
    ],
  )
})

test('query_timeout in a pool: the server connections of the given up queries come back', async () => {
  const pool = bed.openPool({ max: 6, query_timeout: 150, application_name: 'given up' })
  for (let round = 0; round < 3; round += 1) {
    const sleeps = Array.from({ length: 6 }, () => pool.query('SELECT pg_sleep(60)'))
    for (const result of await Promise.allSettled(sleeps)) {
      assert.equal(result.status === 'rejected' && result.reason.message, 'Query read timeout')
    }
  }
  const patient = bed.openPool({ max: 6 })
  const answers = Array.from({ length: 12 }, () => patient.query('SELECT 1 AS one'))
  for (const { rows } of await within(10_000, 'queries of others', Promise.all(answers))) {
    assert.deepEqual(rows, [{ one: 1 }])
  }
})

test('statement_timeout in options is of its own client, whichever server connection it meets', async () => {
  const hasty = bed.openPool({ max: 4, options: '-c statement_timeout=60ms' })
  const patient = bed.openPool({ max: 4 })
  const outcomes = await Promise.all(
    Array.from({ length: 24 }, async (_, n) => {
      const query = (n % 2 === 0 ? hasty : patient).query('SELECT pg_sleep(0.12)')
      return await query.then(
        () => 'done',
        (error: pg.DatabaseError) => error.code,
      )
    }),
  )
  assert.deepEqual(
    outcomes,
    outcomes.map((_, n) => (n % 2 === 0 ? '57014' : 'done')),
  )
})

test('lock_timeout and a deadlock are errors of one client, and the other goes on', async () => {
  const [first, second] = [await bed.connectPg({ lock_timeout: 50 }), await bed.connectPg()]
  await first.query('CREATE TABLE locked (id int PRIMARY KEY, n int)')
  await first.query('INSERT INTO locked VALUES (1, 0), (2, 0)')
  await second.query('BEGIN')
  await second.query('UPDATE locked SET n = 1 WHERE id = 1')
  assert.equal((await errorOf(first.query('UPDATE locked SET n = 2 WHERE id = 1'))).code, '55P03')
  await first.query('BEGIN')
  await first.query('SET LOCAL lock_timeout = 0')
  await first.query('UPDATE locked SET n = 3 WHERE id = 2')
  const outcomes = await Promise.allSettled([
    first.query('UPDATE locked SET n = 3 WHERE id = 1').finally(() => first.query('ROLLBACK')),
    second.query('UPDATE locked SET n = 1 WHERE id = 2').finally(() => second.query('ROLLBACK')),
  ])
  const errors = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason.code] : []))
  assert.deepEqual(errors, ['40P01'])
})

test('a transaction that idles too long has failed, and its pool goes on', async () => {
  const pool = bed.openPool({ max: 2, idle_in_transaction_session_timeout: 80 })
  const client = await pool.connect()
  const told: string[] = []
  client.on('error', (error) => told.push(error.message))
  client.on('notice', (notice) => told.push(String(notice.message)))
  await client.query('BEGIN')
  await client.query('CREATE TABLE idled (n int)')
  await waitUntil('the word of the idle transaction', () => told.length > 0)
  await assert.rejects(client.query('SELECT 1'))
  client.release(true)
  const { rows } = await pool.query(`SELECT to_regclass('idled') AS idled`)
  assert.deepEqual(rows, [{ idled: null }])
})

test('an idle client that is closed says so, and its pool makes a new one', async () => {
  const pool = new pg.Pool({ ...bed.address, ...bed.role, database: bed.database, application_name: 'to be closed' })
  bed.onClose(pool, () => pool.end())
  const { rows } = await pool.query('SELECT 1 AS one')
  const gone = once(pool, 'error')
  await endClients('to be closed')
  const [error] = await within(5_000, 'the error event', gone)
  assert.equal(error.code, '57P01')
  assert.equal(pool.totalCount, 0)
  assert.deepEqual((await pool.query('SELECT 1 AS one')).rows, rows)
})

test('a client that is closed during its query: the query fails, then the client ends', async () => {
  const client = new pg.Client({ ...bed.address, ...bed.role, database: bed.database, application_name: 'busy' })
  const errors: Error[] = []
  client.on('error', (error) => errors.push(error))
  const ended = new Promise<void>((resolve) => client.once('end', resolve))
  await client.connect()
  const query = client.query('SELECT pg_sleep(60)')
  const failed = errorOf(query)
  await waitUntil('the query to run', async () => {
    const [row] = await bed.sql(`SELECT 1 FROM pg_stat_activity WHERE application_name = 'busy' AND state = 'active'`)
    return row !== undefined
  })
  await endClients('busy')
  assert.equal((await within(5_000, 'the query to fail', failed)).code, '57P01')
  await within(5_000, 'the end', ended)
  await assert.rejects(client.query('SELECT 1'))
})

test('what is wrong with a login reaches the caller of the pool, each time', async () => {
  const wrongPassword = bed.openPool({ password: 'wrong' })
  const wrongDatabase = bed.openPool({ database: 'no such database' })
  for (let n = 0; n < 3; n += 1) {
    assert.equal((await errorOf(wrongPassword.query('SELECT 1'))).code, '28P01')
    assert.equal((await errorOf(wrongDatabase.query('SELECT 1'))).code, '3D000')
  }
  assert.equal(wrongPassword.totalCount + wrongDatabase.totalCount, 0)
})
