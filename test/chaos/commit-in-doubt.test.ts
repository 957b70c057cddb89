import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ContinuityBed } from '../support/continuity-bed.ts'
import type { DirectSql } from '../support/mixed-load.ts'
import { waitUntil } from '../support/wait-until.ts'
import type { WireClient } from '../support/wire-client.ts'
import * as wire from '../support/wire-frames.ts'
import { onlyValue, shapeOf, sqlstatesOf, type WireMessage } from '../support/wire-message.ts'

/** One server, which ends all of its backends and recovers when one of them is killed. */
const bed = await ContinuityBed.open({}, 0)
/** SQL on the server itself, again until it takes any: it may be recovering. */
const sql: DirectSql = async (text) =>
  await waitUntil('the server', () => bed.on('shard-1')(text), { timeoutMs: 60_000 })

await sql('CREATE TABLE doubt (id text NOT NULL)')
// A COMMIT that wants to hear of a replica is through with its own work, and gets no answer.
await sql("ALTER SYSTEM SET synchronous_commit = 'local'")
await sql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
await sql('SELECT pg_reload_conf()')
/** Ends a transaction in which it stands at its beginning: COMMIT waits behind its commit record. */
const WAIT_COMMITTED = 'SET LOCAL synchronous_commit = on'
/** COMMIT waits before it does anything. */
await sql(`CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN IF NEW.id LIKE ''slow%'' THEN PERFORM pg_sleep(60); END IF; RETURN NULL; END'`)
await sql(
  'CREATE CONSTRAINT TRIGGER wait AFTER INSERT ON doubt DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait()',
)

async function pidOf(client: WireClient): Promise<number> {
  return Number(onlyValue(await client.query('SELECT pg_backend_pid()')))
}

/** The backend is at this. */
async function waitsFor(pid: number, event: string): Promise<void> {
  await waitUntil(`${event} of ${pid}`, async () => {
    const rows = await sql(`SELECT 1 FROM pg_stat_activity WHERE pid = ${pid} AND wait_event = '${event}'`)
    return rows.length > 0
  })
}

/** Sends `commit` at the end of a transaction that inserts `id`, and kills its backend when that waits for `event`. */
async function killAtCommit(
  client: WireClient,
  id: string,
  event: 'SyncRep' | 'PgSleep',
  commit: Buffer,
): Promise<readonly WireMessage[]> {
  await client.query('BEGIN')
  if (event === 'SyncRep') await client.query(WAIT_COMMITTED)
  const pid = await pidOf(client)
  await client.query(`INSERT INTO doubt VALUES ('${id}')`)
  client.send(commit)
  await waitsFor(pid, event)
  process.kill(pid, 'SIGKILL')
  return await client.until('Z')
}

async function found(id: string): Promise<number> {
  return (await sql(`SELECT id FROM doubt WHERE id = '${id}'`)).length
}

const extended = [wire.parse('', 'COMMIT'), wire.bind('', ''), wire.describe('P', ''), wire.execute(''), wire.sync()]
const forms: readonly (readonly [string, Buffer, string])[] = [
  ['a query', wire.query('COMMIT'), 'CZ'],
  ['in other words', wire.query('End Transaction ;'), 'CZ'],
  ['an extended query', Buffer.concat(extended), '12nCZ'],
]

for (const [what, frames, shape] of forms) {
  test(`COMMIT as ${what}, and the server dies when it is done: it is confirmed`, async () => {
    const client = await bed.open()
    const answer = await killAtCommit(client, `done ${what}`, 'SyncRep', frames)
    assert.deepEqual([shapeOf(answer), answer.at(-1)?.body.toString()], [shape, 'I'], answer.join(' '))
    assert.equal(answer.find(({ type }) => type === 'C')?.strings[0], 'COMMIT')
    assert.equal(await found(`done ${what}`), 1)
    assert.equal(onlyValue(await client.query('SELECT 1')), '1')
    client.close()
  })

  test(`COMMIT as ${what}, and the server dies before it has begun: it is told as rolled back`, async () => {
    const client = await bed.open()
    const answer = await killAtCommit(client, `slow ${what}`, 'PgSleep', frames)
    assert.deepEqual([sqlstatesOf(answer), answer.at(-1)?.body.toString()], [['40001'], 'I'])
    assert.equal(await found(`slow ${what}`), 0)
    assert.equal(onlyValue(await client.query('SELECT 1')), '1')
    client.close()
  })
}

test('a COMMIT among other statements cannot be looked up: its outcome is told as unknown', async () => {
  const client = await bed.open()
  const answer = await killAtCommit(client, 'slow among', 'PgSleep', wire.query('SELECT 1; COMMIT'))
  assert.deepEqual([sqlstatesOf(answer).at(-1), answer.at(-1)?.body.toString()], ['08007', 'I'])
  client.close()
})

test('a COMMIT of a transaction that has only read is answered, wherever the server died', async () => {
  const client = await bed.open()
  await client.query('BEGIN')
  assert.equal(onlyValue(await client.query('SELECT count(*) FROM doubt WHERE false')), '0')
  const pid = await waitUntil('its backend', async () => {
    const rows = await sql(
      "SELECT pid FROM pg_stat_activity WHERE query LIKE '%WHERE false' AND pid <> pg_backend_pid()",
    )
    return Number(rows[0]?.pid ?? 0)
  })
  process.kill(pid, 'SIGSTOP')
  client.send(wire.query('COMMIT'))
  await waitUntil('the COMMIT to be sent', async () => {
    const { rows } = await bed.console.query('SHOW CLIENTS')
    return rows.some(({ outstanding }) => Number(outstanding) > 0)
  })
  process.kill(pid, 'SIGKILL')
  const answer = await client.until('Z')
  assert.deepEqual([shapeOf(answer), answer[0]?.strings[0]], ['CZ', 'COMMIT'], answer.join(' '))
  client.close()
})
