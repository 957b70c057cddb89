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

/** Sends `frames` of a transaction of their own, and kills the backend when it waits for `event`; null: before it has read them. */
async function killOutside(
  client: WireClient,
  frames: Buffer,
  event: 'SyncRep' | 'PgSleep' | null,
): Promise<readonly WireMessage[]> {
  const pid = await pidOf(client)
  if (event === null) process.kill(pid, 'SIGSTOP')
  client.send(frames)
  if (event === null) await waitUntil('it to be sent', () => isOwed())
  else await waitsFor(pid, event)
  process.kill(pid, 'SIGKILL')
  return await client.until('Z')
}

async function isOwed(): Promise<boolean> {
  const { rows } = await bed.console.query('SHOW CLIENTS')
  return rows.some(({ outstanding }) => Number(outstanding) > 0)
}

const insert = (id: string): string => `INSERT INTO doubt VALUES ('${id}')`
const outside: readonly (readonly [string, (id: string) => Buffer])[] = [
  ['an INSERT', (id) => wire.query(insert(id))],
  ['an extended INSERT', (id) => wire.extendedQuery(insert(id))],
  ['a SELECT that writes', (id) => wire.query(`WITH new AS (${insert(id)} RETURNING id) SELECT id FROM new`)],
  ['several in one text', (id) => wire.query(`SELECT 1; ${insert(id)}; SELECT 2`)],
]

for (const [what, frames] of outside) {
  for (const [when, event, times] of [
    ['before it is read', null, 0],
    ['before it is committed', 'PgSleep', 0],
    ['when it is committed', 'SyncRep', 1],
  ] as const) {
    test(`${what} without a BEGIN, and the server dies ${when}: told as unknown, and never run again`, async () => {
      const client = await bed.open({ synchronous_commit: 'on' })
      const id = `${event === 'PgSleep' ? 'slow' : 'quick'} ${what} ${when}`
      const answer = await killOutside(client, frames(id), event)
      assert.deepEqual([sqlstatesOf(answer), answer.at(-1)?.body.toString()], [['08007'], 'I'], answer.join(' '))
      assert.match(
        String(answer.find(({ type }) => type === 'E')?.fields.H),
        /^look whether what it has written is there/,
      )
      assert.equal(onlyValue(await client.query('SELECT 1')), '1')
      assert.equal(await found(id), times)
      client.close()
    })
  }
}

test('two that write behind one another: both are told, in their order', async () => {
  const client = await bed.open()
  const frames = Buffer.concat([wire.query(insert('slow first')), wire.extendedQuery(insert('quick second'))])
  const first = await killOutside(client, frames, 'PgSleep')
  assert.deepEqual([sqlstatesOf(first), sqlstatesOf(await client.until('Z'))], [['08007'], ['08007']])
  assert.deepEqual([await found('slow first'), await found('quick second')], [0, 0])
  client.close()
})

test('a COPY whose end was sent: told as unknown', async () => {
  const client = await bed.open()
  const pid = await pidOf(client)
  client.send(wire.query('COPY doubt FROM STDIN'))
  await client.until('G')
  client.send(wire.copyData('slow copy\n'), wire.copyDone())
  await waitsFor(pid, 'PgSleep')
  process.kill(pid, 'SIGKILL')
  assert.deepEqual(sqlstatesOf(await client.until('Z')), ['08007'])
  assert.equal(await found('slow copy'), 0)
  client.close()
})

test('of a pinned session, the last words say that what it wrote is in doubt', async () => {
  const client = await bed.open()
  await client.query('CREATE TEMP TABLE mine (x int)')
  const pid = await pidOf(client)
  client.send(wire.query(insert('slow pinned')))
  await waitsFor(pid, 'PgSleep')
  process.kill(pid, 'SIGKILL')
  const { messages } = await client.untilClosed()
  const { fields } = messages.at(-1)!
  assert.deepEqual([fields.C, /temporaryObject/.test(String(fields.M))], ['08007', true])
})

for (const [what, frames] of [
  ['BEGIN', wire.query('BEGIN')],
  ['an extended BEGIN', wire.extendedQuery('BEGIN')],
] as const) {
  test(`${what} that the server has not read is sent to the next one, and the transaction goes on`, async () => {
    const client = await bed.open()
    const answer = await killOutside(client, frames, null)
    assert.deepEqual([sqlstatesOf(answer), answer.at(-1)?.body.toString()], [[], 'T'])
    await client.query(insert(what))
    assert.deepEqual(sqlstatesOf(await client.query('COMMIT')), [])
    assert.equal(await found(what), 1)
    client.close()
  })
}
