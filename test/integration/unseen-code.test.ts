import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Testbed } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'
import type { WireClient } from '../support/wire-client.ts'
import * as wire from '../support/wire-frames.ts'
import { rowsOf, sqlstatesOf } from '../support/wire-message.ts'

/** One server connection: what a session leaves there, the next one would find. */
const bed = await Testbed.open({ routerOnly: true, settings: { pool: { size: 1 } } })

await bed.sql(`
  CREATE SCHEMA other;
  CREATE FUNCTION remember() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM set_config('work_mem', '7MB', false); RETURN NULL; END $$;
  CREATE FUNCTION lock() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_advisory_lock(7); RETURN NULL; END $$;
  CREATE FUNCTION make() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN CREATE TEMP TABLE IF NOT EXISTS left_behind (a int); RETURN NULL; END $$;
  CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.at = now(); RETURN NEW; END $$;
  CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO locks VALUES (1); RETURN NULL; END $$;
  CREATE FUNCTION remembered() RETURNS text LANGUAGE sql AS $$ SELECT set_config('work_mem', '7MB', false) $$;
  CREATE TABLE harmless (a int, at timestamptz);
  CREATE TRIGGER x BEFORE INSERT ON harmless FOR EACH ROW EXECUTE FUNCTION stamp();
  CREATE TABLE settings (a int);
  CREATE TRIGGER x AFTER INSERT ON settings FOR EACH ROW EXECUTE FUNCTION remember();
  CREATE TABLE locks (a int);
  CREATE TRIGGER x AFTER INSERT OR UPDATE OR DELETE ON locks FOR EACH STATEMENT EXECUTE FUNCTION lock();
  CREATE TABLE temps (a int);
  CREATE TRIGGER x AFTER INSERT ON temps FOR EACH ROW EXECUTE FUNCTION make();
  CREATE TABLE "Odd one" (a int);
  CREATE TRIGGER x AFTER INSERT ON "Odd one" FOR EACH ROW EXECUTE FUNCTION remember();
  CREATE TABLE noted (a int);
  CREATE TRIGGER x AFTER INSERT ON noted FOR EACH ROW EXECUTE FUNCTION note();
  CREATE TABLE whole (id int PRIMARY KEY);
  CREATE TABLE part (id int REFERENCES whole ON DELETE CASCADE);
  CREATE TRIGGER x AFTER DELETE ON part FOR EACH ROW EXECUTE FUNCTION remember();
  CREATE TABLE truncated_with (id int REFERENCES whole);
  CREATE TRIGGER x AFTER TRUNCATE ON truncated_with EXECUTE FUNCTION remember();
  CREATE TABLE split (a int) PARTITION BY LIST (a);
  CREATE TABLE split_1 PARTITION OF split FOR VALUES IN (1);
  CREATE TRIGGER x AFTER INSERT ON split_1 FOR EACH ROW EXECUTE FUNCTION remember();
  CREATE TABLE defaults (a int, b text DEFAULT set_config('work_mem', '7MB', false));
  CREATE TABLE generated (a int, b text DEFAULT remembered());
  CREATE TABLE ruled (a int);
  CREATE RULE x AS ON INSERT TO ruled DO ALSO SELECT remembered();
  CREATE TABLE guarded (a int);
  ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
  CREATE POLICY x ON guarded USING (remembered() <> '');
  INSERT INTO guarded VALUES (1);
  CREATE VIEW seen AS SELECT remembered() AS a;
  CREATE VIEW other.on_view AS SELECT a FROM public.seen;
  CREATE VIEW on_table AS SELECT a FROM settings;
  CREATE TABLE target (a int);
  CREATE VIEW instead AS SELECT a FROM target;
  CREATE TRIGGER x INSTEAD OF INSERT ON instead FOR EACH ROW EXECUTE FUNCTION remember();
  INSERT INTO whole VALUES (1), (2);
  INSERT INTO part VALUES (1), (2);
  GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC;
  GRANT USAGE, CREATE ON SCHEMA public, other TO PUBLIC;
  GRANT ALL ON ALL TABLES IN SCHEMA other TO PUBLIC;
`)

async function pinsOf(client: WireClient): Promise<string> {
  const port = client.socket.localPort
  const row = (await bed.show('CLIENTS')).find((one) => one.port === port)
  return String(row?.pinned)
}

/** What `run` leaves behind as pins; nothing pins the session any more behind it. */
async function pinsBehind(client: WireClient, run: () => Promise<unknown>): Promise<string> {
  assert.deepEqual(sqlstatesOf(await client.query('BEGIN')), [])
  await run()
  const pins = await pinsOf(client)
  assert.deepEqual(sqlstatesOf(await client.query('ROLLBACK; SELECT pg_advisory_unlock_all()')), [])
  // Its server is asked when the session has been quiet for a while, so nothing may be sent until then.
  await waitUntil('nothing pins the session', async () => (await pinsOf(client)) === '')
  return pins
}

const query = (client: WireClient, sql: string) => async (): Promise<void> =>
  assert.deepEqual(sqlstatesOf(await client.query(sql)), [], sql)

/** Until the router has looked at the database: nothing is sent meanwhile that could make it look. */
async function known(client: WireClient): Promise<void> {
  await waitUntil('what leads where is known', async () => {
    return (await pinsBehind(client, query(client, 'INSERT INTO settings VALUES (1)'))) !== ''
  })
}

/** What a new session finds in its server connection. */
async function found(client: WireClient): Promise<unknown> {
  const answer = await client.query(`SELECT current_setting('work_mem'),
    (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()), to_regclass('left_behind')`)
  return rowsOf(answer)[0]
}

const FRESH = ['4MB', '0', null]

test('what leads to code that may do anything pins like a call of it', async () => {
  const client = await bed.open()
  await known(client)
  for (const sql of [
    'INSERT INTO settings VALUES (1)',
    'INSERT INTO "public" . "settings" VALUES (1)',
    'INSERT INTO on_table VALUES (1)',
    'INSERT INTO "Odd one" VALUES (1)',
    'UPDATE locks SET a = 1',
    'WITH x AS (DELETE FROM locks RETURNING 1) SELECT * FROM x',
    'MERGE INTO locks USING (VALUES (1)) v (b) ON a = b WHEN MATCHED THEN DELETE',
    'INSERT INTO noted VALUES (1)',
    'DELETE FROM whole WHERE id = 1',
    'TRUNCATE whole CASCADE',
    'INSERT INTO split VALUES (1)',
    'INSERT INTO defaults VALUES (1)',
    'INSERT INTO generated VALUES (1)',
    'INSERT INTO ruled VALUES (1)',
    'SELECT * FROM guarded',
    'SELECT * FROM seen',
    'TABLE other.on_view',
    'INSERT INTO instead VALUES (1)',
    'SELECT 1; SELECT 2; INSERT INTO settings VALUES (1)',
  ]) {
    assert.equal(await pinsBehind(client, query(client, sql)), 'unknownFunction', sql)
  }
  client.close()
})

test('server connections from before it was known are replaced, and the log says what was found', async () => {
  const client = await bed.open()
  await known(client)
  await waitUntil('them to be closed', () =>
    bed.router.log.some((line) => /calls unseen may have left something behind/.test(line)),
  )
  assert.ok(bed.router.log.some((line) => /is called unseen, so statements on .*public\.seen.* pin/.test(line)))
  client.close()
})

test('what leads nowhere does not', async () => {
  const client = await bed.open()
  await known(client)
  for (const sql of [
    'INSERT INTO harmless VALUES (1)',
    'SELECT * FROM settings',
    'SELECT * FROM on_table',
    'SELECT * FROM whole',
    'INSERT INTO target VALUES (1)',
    "SELECT 'seen' AS seen",
  ]) {
    assert.equal(await pinsBehind(client, query(client, sql)), '', sql)
  }
  client.close()
})

test('COPY, and statements that are prepared, whenever they are executed', async () => {
  const client = await bed.open()
  await client.exchange(Buffer.concat([wire.parse('kept', 'INSERT INTO settings VALUES ($1)'), wire.sync()]))
  await known(client)
  const copy = async (): Promise<void> => {
    client.send(wire.query('COPY settings FROM STDIN'))
    await client.until('G')
    client.send(wire.copyData('1\n'), wire.copyDone())
    assert.deepEqual(sqlstatesOf(await client.until('Z')), [])
  }
  assert.equal(await pinsBehind(client, copy), 'unknownFunction')
  const unnamed = async () => client.exchange(wire.extendedQuery('INSERT INTO settings VALUES ($1)', ['1']))
  assert.equal(await pinsBehind(client, unnamed), 'unknownFunction')
  const named = async () =>
    client.exchange(Buffer.concat([wire.bind('', 'kept', ['1']), wire.execute(''), wire.sync()]))
  assert.equal(await pinsBehind(client, named), 'unknownFunction')
  assert.equal(await pinsBehind(client, query(client, "EXECUTE kept ('1')")), 'unknownFunction')
  client.close()
})

for (const [what, sql] of [
  ['a setting', 'INSERT INTO settings VALUES (1)'],
  ['a setting that a view makes', 'SELECT * FROM other.on_view'],
  ['a setting that a cascade makes', 'DELETE FROM whole WHERE id = 2'],
  ['a lock', 'INSERT INTO locks VALUES (1)'],
  ['a temporary table', 'INSERT INTO temps VALUES (1)'],
]) {
  test(`${what} stays with the session that made it`, async () => {
    const client = await bed.open()
    await known(client)
    await query(client, String(sql))()
    const other = await bed.open()
    // Who waits for the server connection has the session asked what is there.
    const seen = found(other)
    if (what === 'a lock' || what === 'a temporary table') {
      const reason = what === 'a lock' ? 'advisoryLock' : 'temporaryObject'
      await waitUntil('the reason is known', async () => (await pinsOf(client)) === reason)
      await query(client, what === 'a lock' ? 'SELECT pg_advisory_unlock_all()' : 'DROP TABLE left_behind')()
    }
    assert.deepEqual(await seen, FRESH)
    other.close()
    if (what?.startsWith('a setting')) assert.deepEqual(await found(client), ['7MB', '0', null])
    client.close()
  })
}

test('what is defined through the router counts at once', async () => {
  const client = await bed.open()
  await known(client)
  await query(client, 'CREATE TABLE fresh (a int)')()
  await query(client, 'INSERT INTO fresh VALUES (1)')()
  await query(client, 'CREATE TRIGGER x AFTER INSERT ON fresh FOR EACH ROW EXECUTE FUNCTION remember()')()
  await query(client, 'INSERT INTO fresh VALUES (1)')()
  const other = await bed.open()
  assert.deepEqual(await found(other), FRESH)
  await known(other)
  assert.equal(await pinsBehind(other, query(other, 'DELETE FROM fresh')), 'unknownFunction')
  await query(other, 'DROP TABLE fresh')()
  client.close()
  other.close()
})
