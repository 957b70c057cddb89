import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Testbed } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'
import { WireClient, WireError } from '../support/wire-client.ts'
import * as wire from '../support/wire-frames.ts'
import { onlyValue, rowsOf, shapeOf, sqlstatesOf } from '../support/wire-message.ts'

/*
 * What docs/compatibility.md says of sessions that PostgreSQL does otherwise: a test for each, which fails when it is true no longer.
 * All clients share one server connection; in the database `wide` they share two.
 */

const SQRT = 1344
const bed = await Testbed.open({
  routerOnly: true,
  settings: ({ database }) => ({
    pool: { size: 1 },
    databases: { '*': {}, wide: { name: database, pool_size: 2 } },
  }),
})
await bed.sql(`
  CREATE SEQUENCE numbers; CREATE TABLE one (x int); INSERT INTO one VALUES (1); ANALYZE one;
  CREATE FUNCTION sets(one) RETURNS text LANGUAGE sql AS $$ SELECT set_config('app.unseen', 'x', false) $$;
  GRANT ALL ON one, numbers TO PUBLIC`)

async function firstOf(client: WireClient, sql: string): Promise<string | null> {
  return onlyValue(await client.query(sql))
}

async function pinsOf(client: WireClient): Promise<string> {
  const rows = await bed.show('CLIENTS')
  return String(rows.find((row) => row.port === client.socket.localPort)?.pinned)
}

/** From now on everybody gets server connections that nobody has used. */
async function renew(): Promise<void> {
  await bed.console.query(`RECONNECT ${bed.database}`)
  await bed.console.query('RECONNECT wide')
}

/** With a setting of the database's, for connections made from now on. */
async function withDatabase(setting: string, value: string, run: () => Promise<void>): Promise<void> {
  await bed.sql(`ALTER DATABASE ${bed.database} SET ${setting} = '${value}'`)
  try {
    await run()
  } finally {
    await bed.sql(`ALTER DATABASE ${bed.database} RESET ${setting}`)
    await renew()
  }
}

/** [reason, what a session does]; the other reasons have files of their own. */
const pins: readonly (readonly [reason: string, what: string | Buffer])[] = [
  ['setting', `SELECT set_config('work' || '_mem', '5MB', false)`],
  ['setting', `UPDATE pg_settings SET setting = '5MB' WHERE name = 'work_mem'`],
  ['setting', 'SET temp_buffers = 200'],
  ['temporaryObject', 'CREATE TEMP TABLE t (x int)'],
  ['advisoryLock', 'SELECT pg_advisory_lock(1)'],
  ['holdCursor', 'DECLARE c CURSOR WITH HOLD FOR SELECT 1'],
  ['sqlPrepare', 'PREPARE p AS SELECT 1'],
  ['sequence', `SELECT nextval('numbers')`],
  ['randomSeed', 'SELECT setseed(0.5)'],
  ['randomSeed', 'SET seed = 0.5'],
  ['load', `LOAD 'nothing'`],
  ['unknownFunction', 'DO $$ BEGIN PERFORM 1; END $$'],
  ['unknownFunction', wire.functionCall(SQRT, ['4'])],
  ['undecidedStatement', String.raw`SELECT 'a\'`],
]

test('each reason to pin is given for what causes it', async () => {
  for (const [reason, what] of pins) {
    const client = await bed.open()
    await client.query('BEGIN')
    await client.exchange(typeof what === 'string' ? wire.query(what) : what)
    assert.ok((await pinsOf(client)).split(',').includes(reason), String(what))
    await client.goodbye()
  }
})

test('a session that listens to what cannot be heard for it pins', async () => {
  for (const [sql, encoding] of [
    ['DO $$ BEGIN LISTEN a; END $$', 'UTF8'],
    ['LISTEN "é"', 'LATIN1'],
  ]) {
    const client = await bed.open({ parameters: { client_encoding: encoding! } })
    await client.query(sql!)
    await waitUntil('the pin', async () => (await pinsOf(client)) === 'listen')
    await client.goodbye()
  }
})

test('the schema of temporary objects is there when another client of the server connection has had some', async () => {
  await renew()
  const client = await bed.open()
  const call = 'SELECT pg_temp.f()'
  assert.deepEqual(sqlstatesOf(await client.query(call)), ['3F000'])
  assert.equal(await firstOf(client, 'SELECT pg_my_temp_schema() = 0'), 't')
  const other = await bed.open()
  await other.query('CREATE TEMP TABLE t (x int)')
  await other.goodbye()
  assert.deepEqual(sqlstatesOf(await client.query(call)), ['42883'])
  assert.deepEqual(sqlstatesOf(await client.query('SELECT * FROM pg_temp.t')), ['42P01'])
  assert.equal(await firstOf(client, 'SELECT pg_my_temp_schema() = 0'), 'f')
})

test('a function that is called as if it were a column is not seen', async () => {
  // Once the router has looked at what was defined just before.
  await waitUntil('what does nothing to pin nobody', async () => {
    const client = await bed.open()
    await client.query('BEGIN')
    assert.equal(await firstOf(client, 'SELECT o.sets FROM one o'), 'x')
    const why = await pinsOf(client)
    await client.goodbye()
    return why === ''
  })
})

test('a domain that calls code which may do anything makes every statement of its database pin', async () => {
  const database = await bed.cluster.createDatabase(bed.role.user)
  const client = await bed.open({ database })
  const answer = await client.query(`
    CREATE FUNCTION dynamic(int) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'SELECT 1'; RETURN true; END $$;
    CREATE DOMAIN checked AS int CHECK (dynamic(VALUE))`)
  assert.deepEqual(sqlstatesOf(answer), [])
  // Once the router has looked, by itself.
  await waitUntil('what does nothing to pin', async () => {
    await client.query('BEGIN')
    await client.query('SELECT 1 FROM pg_class LIMIT 1')
    const pins = await pinsOf(client)
    await client.query('COMMIT')
    return pins === 'unknownFunction'
  })
  await client.goodbye()
})

test('pg_terminate_backend of the own process id ends the server connection, and not the client', async () => {
  const client = await bed.open()
  const pid = await firstOf(client, 'SELECT pg_backend_pid()')
  assert.deepEqual(sqlstatesOf(await client.query('SELECT pg_terminate_backend(pg_backend_pid())')), ['08007'])
  assert.notEqual(await firstOf(client, 'SELECT pg_backend_pid()'), pid)
})

test('RESET in a transaction goes back to the default of the server until the transaction ends', async () => {
  const client = await bed.open({ parameters: { work_mem: '5MB' } })
  assert.equal(await firstOf(client, 'BEGIN; RESET work_mem; SHOW work_mem'), '4MB')
  await client.query('COMMIT')
  assert.equal(await firstOf(client, 'SHOW work_mem'), '5MB')
  const [row] = rowsOf(await client.query(`SELECT reset_val, source FROM pg_settings WHERE name = 'work_mem'`))
  assert.deepEqual(row, ['4096', 'session'])
})

test('set_config to NULL answers with the default of the server', async () => {
  const client = await bed.open({ parameters: { work_mem: '5MB' } })
  assert.equal(await firstOf(client, `SELECT set_config('work_mem', NULL, false)`), '4MB')
})

test('a number with a fraction that is read back from the server has six digits elsewhere', async () => {
  const client = await bed.open()
  const cost = async (): Promise<string> =>
    /\.\.(\d+)/.exec(rowsOf(await client.query('EXPLAIN SELECT * FROM one'))[0]?.[0] ?? '')?.[1] ?? ''
  await client.query(`SELECT set_config('seq_page_cost', '1234567.8', false)`)
  assert.equal(await cost(), '1234567')
  const other = await bed.open()
  await other.query('SET seq_page_cost = 2')
  assert.equal(await cost(), '1234570')
})

test('local_preload_libraries in the startup packet loads nothing', async () => {
  const client = await bed.open({ parameters: { local_preload_libraries: 'no_such_library' } })
  assert.equal(await firstOf(client, 'SELECT 1'), '1')
})

test('a startup setting under a name that no setting has is refused', async () => {
  const refused = WireClient.open(bed.address, { ...bed.login, parameters: { 'no setting': 'x' } })
  await assert.rejects(refused, (error) => error instanceof WireError && error.response.sqlstate === '42602')
})

test('defaults of roles and databases, and limits in time for sessions, are those of server connections', async () => {
  const client = await bed.open()
  await client.query('SELECT 1')
  await withDatabase('work_mem', '6MB', async () => {
    const late = await bed.open()
    assert.equal(await firstOf(late, 'SHOW work_mem'), '4MB')
    await renew()
    assert.equal(await firstOf(await bed.open(), 'SHOW work_mem'), '6MB')
  })
  await withDatabase('idle_session_timeout', '20ms', async () => {
    await renew()
    await client.query('SELECT 1')
    await waitUntil('the server connection to end', async () => {
      return (await bed.servers()).every(({ database }) => database !== bed.database)
    })
    assert.equal(await firstOf(client, 'SELECT 1'), '1')
  })
})

test('process ids, ports and times are those of the server connection', async () => {
  const [client, other] = await bed.openMany(2)
  const who = 'SELECT pid, backend_start, client_port FROM pg_stat_activity WHERE pid = pg_backend_pid()'
  const [mine] = rowsOf(await client!.query(who))
  assert.deepEqual(rowsOf(await other!.query(who)), [mine])
  assert.notEqual(mine?.[0], String(client!.cancelPid))
  assert.notEqual(mine?.[2], String(client!.socket.localPort))
  assert.equal(await firstOf(client!, 'SELECT inet_client_port()'), mine?.[2])
  const third = await bed.open({ database: 'wide' })
  await third.query('BEGIN')
  const pid = Number(await firstOf(third, 'SELECT pg_backend_pid()'))
  third.send(wire.query('SELECT pg_sleep(20)'))
  assert.equal(await firstOf(await bed.open({ database: 'wide' }), `SELECT pg_cancel_backend(0 + ${pid})`), 't')
  assert.deepEqual(sqlstatesOf(await third.until('Z')), ['57014'])
})

test('the process ids in the error of a deadlock are those of server connections', async () => {
  await withDatabase('deadlock_timeout', '20ms', async () => {
    await renew()
    const [first, second] = await bed.openMany(2, { database: 'wide' })
    const pids: unknown[] = []
    for (const [at, client] of [first!, second!].entries()) {
      pids.push(await firstOf(client, 'BEGIN; SELECT pg_backend_pid()'))
      await client.query(`SELECT pg_advisory_xact_lock(${at})`)
    }
    first!.send(wire.query('SELECT pg_advisory_xact_lock(1)'))
    second!.send(wire.query('SELECT pg_advisory_xact_lock(0)'))
    const answers = await Promise.all([first!.until('Z'), second!.until('Z')])
    const error = answers.flat().find((message) => message.type === 'E')
    const named = [...(error?.fields.D ?? '').matchAll(/Process (\d+)/g)].map(([, pid]) => pid)
    assert.deepEqual(new Set(named), new Set(pids))
    for (const client of [first!, second!]) assert.ok(!named.includes(String(client.cancelPid)))
  })
})

test('CONNECTION LIMIT and the right to log in are asked about when a server connection is opened', async () => {
  const { user } = bed.role
  const [client] = await bed.openMany(3)
  await client!.query('SELECT 1')
  await bed.sql(`ALTER ROLE ${user} CONNECTION LIMIT 1 NOLOGIN`)
  try {
    for (const late of await bed.openMany(3)) assert.equal(await firstOf(late, 'SELECT 1'), '1')
    await renew()
    assert.deepEqual(sqlstatesOf(await client!.query('SELECT 1')), ['28000'])
  } finally {
    await bed.sql(`ALTER ROLE ${user} CONNECTION LIMIT -1 LOGIN`)
  }
  await waitUntil('the role to be let in again', async () => shapeOf(await client!.query('SELECT 1')) === 'TDCZ')
})

test('a login is refused with what a shard says of a database for good, and waits where it may change its mind', async () => {
  const full = await bed.cluster.createDatabase()
  await bed.cluster.sql(`ALTER DATABASE ${full} CONNECTION LIMIT 0`)
  const waiting = bed.open({ database: full })
  await waitUntil('the login to wait', async () =>
    (await bed.show('CLIENTS')).some(({ database }) => database === full),
  )
  await bed.cluster.sql(`ALTER DATABASE ${full} CONNECTION LIMIT -1`)
  assert.equal(await firstOf(await waiting, 'SELECT 1'), '1')
  const closed = await bed.cluster.createDatabase()
  await bed.cluster.sql(`ALTER DATABASE ${closed} ALLOW_CONNECTIONS false`)
  for (const [database, sqlstate] of [
    [closed, '55000'],
    ['no_such_database', '3D000'],
  ] as const) {
    const refused = WireClient.open(bed.address, { ...bed.login, database })
    await assert.rejects(refused, (error) => error instanceof WireError && error.response.sqlstate === sqlstate)
  }
})
