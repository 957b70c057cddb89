import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Testbed } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'
import type { WireClient } from '../support/wire-client.ts'
import * as wire from '../support/wire-frames.ts'
import { onlyValue, sqlstatesOf } from '../support/wire-message.ts'

/** One server connection: as long as a session is pinned, nobody else is served. */
const bed = await Testbed.open({ routerOnly: true, settings: { pool: { size: 1 } } })

await bed.sql(`
  CREATE TABLE log (what text);
  CREATE SEQUENCE counter;
  CREATE FUNCTION dynamic() RETURNS int LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'SELECT 1'; RETURN 1; END $$;
  CREATE FUNCTION remember(value text) RETURNS void LANGUAGE plpgsql AS
    $$ BEGIN PERFORM set_config('work_mem', value, false); END $$;
  CREATE FUNCTION log_in(value text) RETURNS void LANGUAGE plpgsql AS
    $$ BEGIN PERFORM set_config('app.user', value, false); END $$;
  CREATE FUNCTION log_in_secretly(value text) RETURNS void LANGUAGE plpgsql AS
    $$ BEGIN PERFORM set_config('sec' || 'ret.user', value, false); END $$;
  CREATE FUNCTION make_temporary() RETURNS void LANGUAGE plpgsql AS
    $$ BEGIN CREATE TEMP TABLE made (x int); END $$;
  CREATE FUNCTION logged_in() RETURNS text LANGUAGE sql AS $$ SELECT current_setting('app.user', true) $$;
  CREATE FUNCTION logged_in_secretly() RETURNS text LANGUAGE sql AS
    $$ SELECT current_setting('sec' || 'ret.user', true) $$;
  GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC;
  GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO PUBLIC;
`)

async function pinsOf(client: WireClient): Promise<string> {
  const rows = await bed.show('CLIENTS')
  const port = client.socket.localPort
  return String(rows.find((row) => row.port === port)?.pinned)
}

/** [what pins, what ends it] */
const ends: readonly (readonly [name: string, pin: string, end: string])[] = [
  ['a temporary table', 'CREATE TEMP TABLE t (x int)', 'DROP TABLE t'],
  ['a temporary table discarded', 'CREATE TEMP TABLE t (x int)', 'DISCARD TEMP'],
  ['a temporary type', 'CREATE TYPE pg_temp.colour AS ENUM ()', 'DROP TYPE pg_temp.colour'],
  [
    'a temporary function',
    `CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'`,
    'DROP FUNCTION pg_temp.f',
  ],
  ['an advisory lock', 'SELECT pg_advisory_lock(1)', 'SELECT pg_advisory_unlock(1)'],
  ['an advisory lock held twice', 'SELECT pg_advisory_lock(1), pg_advisory_lock(1)', 'SELECT pg_advisory_unlock_all()'],
  ['a cursor WITH HOLD', 'DECLARE c CURSOR WITH HOLD FOR SELECT 1', 'CLOSE c'],
  ['a statement of PREPARE', 'PREPARE p AS SELECT 1', 'DEALLOCATE p'],
  ['temporary things of a transaction', 'BEGIN; CREATE TEMP TABLE t (x int) ON COMMIT DROP', 'COMMIT'],
  ['a temporary table that is rolled back', 'BEGIN; CREATE TEMP TABLE t (x int)', 'ROLLBACK'],
  ['a function', 'BEGIN; SELECT dynamic()', 'COMMIT'],
  ['a block', 'BEGIN; DO $$ BEGIN PERFORM 1; END $$', 'COMMIT'],
  ['an undecided statement', String.raw`BEGIN; SELECT 'a\'`, 'COMMIT'],
  ['a function that makes a temporary table', 'SELECT make_temporary()', 'DROP TABLE made'],
]

for (const [name, pin, end] of ends) {
  test(`${name}: its session keeps the server connection until it is gone, and no longer`, async () => {
    const [client, stranger] = await bed.openMany(2)
    assert.deepEqual(sqlstatesOf(await client!.query(pin)), [])
    stranger!.send(wire.query('SELECT 1'))
    await waitUntil('the stranger to wait', async () => (await bed.pool()).cl_waiting === 1)
    assert.notEqual(await pinsOf(client!), '')
    assert.deepEqual(sqlstatesOf(await client!.query(end)), [])
    assert.equal(onlyValue(await stranger!.until('Z')), '1')
    await waitUntil('no pin', async () => (await pinsOf(client!)) === '')
  })
}

for (const [name, pin] of [
  ['a sequence', `SELECT nextval('s')`],
  ['a seed', 'SELECT setseed(0.5)'],
  ['a library', `LOAD 'auto_explain'`],
] as const) {
  test(`${name} is for life`, async () => {
    await bed.sql('CREATE SEQUENCE IF NOT EXISTS s; GRANT ALL ON SEQUENCE s TO PUBLIC')
    const [client] = await bed.openMany(1)
    const answer = sqlstatesOf(await client!.query(pin))
    // Only superusers load.
    if (answer.length === 0) assert.notEqual(await pinsOf(client!), '')
  })
}

test('numbers that a row got are there for its session, and for nobody else', async () => {
  await bed.sql('CREATE TABLE item (id serial, note text); GRANT ALL ON item, item_id_seq TO PUBLIC')
  const [client, stranger] = await bed.openMany(2)
  await client!.query(`INSERT INTO item (note) VALUES ('one')`)
  assert.deepEqual(sqlstatesOf(await stranger!.query('SELECT lastval()')), ['55000'])
  assert.deepEqual(sqlstatesOf(await client!.query(`SELECT currval('item_id_seq')`)), ['55000'])
  assert.equal(await pinsOf(client!), '')
  // Who has asked once gets its numbers from then on.
  await client!.query(`INSERT INTO item (note) VALUES ('two')`)
  assert.equal(await pinsOf(client!), 'sequence')
  stranger!.send(wire.query(`INSERT INTO item (note) VALUES ('three')`))
  assert.equal(onlyValue(await client!.query('SELECT lastval()')), '2')
  client!.close()
  await stranger!.until('Z')
  // Nobody had the server connection in between.
  assert.equal(onlyValue(await stranger!.query(`SELECT currval('item_id_seq')`)), '3')
  assert.equal(await pinsOf(stranger!), 'sequence')
})

test('sessions that call functions share a server connection', async () => {
  const clients = await bed.openMany(5)
  for (let round = 0; round < 5; round += 1) {
    await Promise.all(
      clients.map(async (client) => assert.equal(onlyValue(await client.query('SELECT dynamic()')), '1')),
    )
  }
})

test('what a function sets stays with its session, whether anybody has named it or not', async () => {
  const [client, stranger] = await bed.openMany(2)
  await client!.query(`SELECT remember('7MB')`)
  await client!.query(`SELECT log_in('alice')`)
  for (let round = 0; round < 3; round += 1) {
    assert.notEqual(onlyValue(await stranger!.query('SHOW work_mem')), '7MB')
    assert.equal(onlyValue(await stranger!.query(`SELECT coalesce(logged_in(), '')`)), '')
    assert.equal(onlyValue(await client!.query('SHOW work_mem')), '7MB')
    assert.equal(onlyValue(await client!.query('SELECT logged_in()')), 'alice')
  }
})

test('a setting that nothing can find does not reach another session', async () => {
  const [client, stranger] = await bed.openMany(2)
  for (let round = 0; round < 3; round += 1) {
    await client!.query(`SELECT log_in_secretly('alice')`)
    assert.equal(onlyValue(await stranger!.query(`SELECT coalesce(logged_in_secretly(), '')`)), '')
  }
  await client!.query(`SELECT log_in_secretly('alice')`)
  const late = await bed.open({ parameters: { 'app.new': '1' } })
  assert.equal(onlyValue(await late.query(`SELECT coalesce(logged_in_secretly(), '')`)), '')
})

test('a session that keeps its reason is asked less and less often', async () => {
  const [client] = await bed.openMany(1)
  await client!.query('CREATE TEMP TABLE t (x int)')
  for (let round = 0; round < 20; round += 1) await client!.query('INSERT INTO t VALUES (1)')
  assert.equal(onlyValue(await client!.query('SELECT count(*) FROM t')), '20')
  assert.equal(await pinsOf(client!), 'temporaryObject')
})

test('a statement that is prepared and never executed pins nothing; each execution does', async () => {
  const [client, stranger] = await bed.openMany(2)
  const sql = 'CREATE TEMP TABLE IF NOT EXISTS t (x int)'
  await client!.exchange(Buffer.concat([wire.parse('make', sql), wire.sync()]))
  assert.equal(await pinsOf(client!), '')
  for (let round = 0; round < 2; round += 1) {
    await client!.exchange(Buffer.concat([wire.bind('', 'make'), wire.execute(''), wire.sync()]))
    assert.notEqual(await pinsOf(client!), '')
    await client!.query('DROP TABLE t')
    assert.equal(onlyValue(await stranger!.query('SELECT 1')), '1')
  }
  await stranger!.exchange(Buffer.concat([wire.parse('same', sql), wire.sync()]))
  await stranger!.exchange(Buffer.concat([wire.bind('', 'same'), wire.execute(''), wire.sync()]))
  assert.notEqual(await pinsOf(stranger!), '')
})

test('a prepared SET counts whenever it is executed', async () => {
  const [client, stranger] = await bed.openMany(2)
  await client!.exchange(Buffer.concat([wire.parse('set', `SET app.tenant = '1'`), wire.sync()]))
  await client!.exchange(
    Buffer.concat([wire.parse('', `SET app.tenant = '2'`), wire.bind('', ''), wire.execute(''), wire.sync()]),
  )
  const tenant = `SELECT coalesce(current_setting('app.tenant', true), '')`
  for (let round = 0; round < 2; round += 1) {
    assert.equal(onlyValue(await stranger!.query(tenant)), '')
    assert.equal(onlyValue(await client!.query(tenant)), round === 0 ? '2' : '1')
    await client!.exchange(Buffer.concat([wire.bind('', 'set'), wire.execute(''), wire.sync()]))
  }
})

test('DISCARD ALL counts when it has run: bound and not executed it ends no pin, and an error behind it changes nothing', async () => {
  const client = await bed.open()
  await client.query('CREATE TEMP TABLE t (x int)')
  assert.deepEqual(sqlstatesOf(await client.query("SELECT setseed(0.5), nextval('counter')")), [])
  assert.match(await pinsOf(client), /sequence/)
  await client.exchange(Buffer.concat([wire.parse('', 'DISCARD ALL'), wire.bind('', ''), wire.sync()]))
  assert.match(await pinsOf(client), /temporaryObject/)
  assert.equal(onlyValue(await client.query('SELECT count(*) FROM t')), '0')
  const discard = [wire.parse('', 'DISCARD ALL'), wire.bind('', ''), wire.execute('')]
  const failure = [wire.parse('', 'SELECT 1/0'), wire.bind('', ''), wire.execute(''), wire.sync()]
  const answer = await client.exchange(Buffer.concat([...discard, ...failure]))
  assert.deepEqual(sqlstatesOf(answer), ['22012'])
  assert.equal(await pinsOf(client), '')
})
