import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Testbed } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'
import type { WireClient } from '../support/wire-client.ts'
import * as wire from '../support/wire-frames.ts'
import { sqlstatesOf } from '../support/wire-message.ts'

/** One server connection: as long as a session is pinned, nobody else is served. */
const bed = await Testbed.open({ routerOnly: true, settings: { pool: { size: 1 } } })

await bed.sql(`
  CREATE TABLE log (what text);
  CREATE SCHEMA other;
  CREATE FUNCTION twice(x int) RETURNS int LANGUAGE sql AS 'SELECT 2 * x';
  CREATE FUNCTION four_times(x int) RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN twice(twice(x)); END $$;
  CREATE FUNCTION note(what text) RETURNS void LANGUAGE sql BEGIN ATOMIC INSERT INTO log VALUES (what); END;
  CREATE FUNCTION remember(value text) RETURNS text LANGUAGE sql AS $$ SELECT set_config('work_mem', value, false) $$;
  CREATE FUNCTION remembers(value text) RETURNS text LANGUAGE sql AS 'SELECT remember(value)';
  CREATE FUNCTION lies() RETURNS text LANGUAGE sql STABLE AS $$ SELECT set_config('work_mem', '7MB', false) $$;
  CREATE FUNCTION runs(what text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE what; END $$;
  CREATE FUNCTION split(x int) RETURNS int LANGUAGE sql AS 'SELECT 1';
  CREATE FUNCTION other.split(x text) RETURNS text LANGUAGE sql AS $$ SELECT set_config('work_mem', x, false) $$;
  CREATE FUNCTION becomes_harmful() RETURNS text LANGUAGE sql AS $$ SELECT 'harmless' $$;
  CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');
  GRANT USAGE ON SCHEMA other TO PUBLIC;
  GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC;
  GRANT CREATE ON SCHEMA public TO PUBLIC;
`)

async function pinsOf(client: WireClient): Promise<string> {
  const port = client.socket.localPort
  const row = (await bed.show('CLIENTS')).find((one) => one.port === port)
  return String(row?.pinned)
}

/** The pins that `sql` leaves in a transaction of its own; nothing pins the session any more behind it. */
async function pinsBehind(client: WireClient, sql: string): Promise<string> {
  assert.deepEqual(sqlstatesOf(await client.query(`BEGIN; ${sql}`)), [])
  const pins = await pinsOf(client)
  assert.deepEqual(sqlstatesOf(await client.query('ROLLBACK')), [])
  // Its server is asked when the session has been quiet for a while, so nothing may be sent until then.
  await waitUntil('nothing pins the session', async () => (await pinsOf(client)) === '')
  return pins
}

/** Until the router has looked at the functions of the database. */
async function known(client: WireClient): Promise<void> {
  await waitUntil('the functions are known', async () => (await pinsBehind(client, 'SELECT twice(1)')) === '')
}

test('functions that leave nothing behind do not pin, once the router has looked at them', async () => {
  const client = await bed.open()
  await known(client)
  for (const sql of [
    'SELECT four_times(1)',
    "SELECT note('x')",
    'SELECT total(x), public.twice(2) FROM (VALUES (1)) AS v (x)',
    'SELECT "twice"(3), lower($$X$$)',
    'SELECT public.split(1)',
  ]) {
    assert.equal(await pinsBehind(client, sql), '', sql)
  }
  client.close()
})

test('functions that may leave something behind pin, whatever they say of themselves', async () => {
  const client = await bed.open()
  await known(client)
  for (const sql of [
    "SELECT remember('5MB')",
    "SELECT remembers('5MB')",
    'SELECT lies()',
    "SELECT runs('SELECT 1')",
    'SELECT split(1)',
    "SELECT other.split('5MB')",
    "DO 'BEGIN END'",
    "SELECT twice(1), remember('5MB')",
  ]) {
    assert.equal(await pinsBehind(client, sql), 'unknownFunction', sql)
  }
  client.close()
})

test('what a prepared statement calls is looked up when it is executed', async () => {
  const client = await bed.open()
  await known(client)
  assert.deepEqual(sqlstatesOf(await client.exchange(wire.extendedQuery('SELECT twice($1)', ['4']))), [])
  assert.equal(await pinsOf(client), '')
  client.close()
})

test('a function that becomes harmful in a transaction is harmful in it, and for everybody behind it', async () => {
  const client = await bed.open()
  await known(client)
  assert.equal(await pinsBehind(client, 'SELECT becomes_harmful()'), '')
  const create = `CREATE FUNCTION becomes_harmful(x int) RETURNS text LANGUAGE sql AS $$ SELECT set_config('work_mem', '6MB', false) $$`
  assert.deepEqual(sqlstatesOf(await client.query(`BEGIN; ${create}; SELECT twice(1)`)), [])
  assert.equal(await pinsOf(client), 'unknownFunction', 'nothing is known for now')
  assert.deepEqual(sqlstatesOf(await client.query('COMMIT')), [])
  await known(client)
  assert.equal(await pinsBehind(client, 'SELECT becomes_harmful()'), 'unknownFunction')
  client.close()
})
