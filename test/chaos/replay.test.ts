import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import pg from 'pg'
import { ContinuityBed } from '../support/continuity-bed.ts'
import type { DirectSql } from '../support/mixed-load.ts'
import { waitUntil } from '../support/wait-until.ts'
import * as wire from '../support/wire-frames.ts'
import { onlyValue, rowsOf, shapeOf, sqlstatesOf, type WireMessage } from '../support/wire-message.ts'

/** One server, which ends all of its backends and recovers when one of them is killed. */
const bed = await ContinuityBed.open(
  { replay: { age: '20s' }, routing: { begin: 'at-once' }, tiers: { low: { replay: 'off' } } },
  0,
)
/** SQL on the server itself, again until it takes any: it may be recovering. */
const sql: DirectSql = async (text) =>
  await waitUntil('the server', () => bed.on('shard-1')(text), { timeoutMs: 60_000 })

await sql('CREATE TABLE kept (id text NOT NULL, n serial)')
await sql('CREATE TABLE gate AS SELECT 1 AS one')
await sql('CREATE TABLE state AS SELECT 1 AS x')
await sql('CREATE TABLE account AS SELECT i AS id, 100 AS balance FROM generate_series(1, 4) i')
await sql(`CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN IF NEW.id LIKE ''late%'' THEN PERFORM one FROM gate; END IF; RETURN NULL; END'`)
await sql(
  'CREATE CONSTRAINT TRIGGER wait AFTER INSERT ON kept DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait()',
)

/** Whoever reads `gate` waits, until the server crashes. */
async function closeGate(): Promise<void> {
  const { host, port } = bed.shards[0]!
  await waitUntil('the gate', async () => {
    const client = new pg.Client({ host, port, ...bed.login })
    client.on('error', () => {})
    await client.connect()
    return await client.query('BEGIN; LOCK TABLE gate')
  })
}

async function found(id: string): Promise<number> {
  return (await sql(`SELECT id FROM kept WHERE id = '${id}'`)).length
}

/** The backend that the client's transaction is on, as seen from outside: asking for it would be an answer that differs. */
async function backendOf(mark: string): Promise<number> {
  return await waitUntil(`the backend of ${mark}`, async () => {
    const rows = await sql(`SELECT pid FROM pg_stat_activity WHERE query LIKE '%${mark}%' AND pid <> pg_backend_pid()`)
    return Number(rows[0]?.pid ?? 0)
  })
}

/** The backend works on a text with `mark` and waits at the gate. */
async function atGate(mark: string): Promise<number> {
  return await waitUntil(`${mark} at the gate`, async () => {
    const rows = await sql(`SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%${mark}%'`)
    return Number(rows[0]?.pid ?? 0)
  })
}

/** Kills a backend, and waits until the server has ended all the others and takes new ones. */
async function crash(pid: number): Promise<void> {
  const { host, port } = bed.shards[0]!
  const witness = new pg.Client({ host, port, ...bed.login })
  witness.on('error', () => {})
  await witness.connect()
  const ended = new Promise((resolve) => witness.once('end', resolve))
  process.kill(pid, 'SIGKILL')
  await ended
  await sql('SELECT 1')
}

/** Everything is answered without an error. */
function assertFine(answer: readonly WireMessage[]): void {
  assert.deepEqual(sqlstatesOf(answer), [], answer.join(' '))
}

test('a transaction whose server dies while its client thinks goes on, and the client notices nothing', async () => {
  const client = await bed.open()
  assertFine(await client.query('BEGIN'))
  assertFine(await client.query("INSERT INTO kept VALUES ('idle')"))
  assert.equal(onlyValue(await client.query("SELECT 'thinks'")), 'thinks')
  process.kill(await backendOf('thinks'), 'SIGKILL')
  const answer = await client.query("INSERT INTO kept VALUES ('idle too')")
  assert.deepEqual([shapeOf(answer), answer.at(-1)?.body.toString()], ['CZ', 'T'], answer.join(' '))
  const commit = await client.query('COMMIT')
  assert.deepEqual([shapeOf(commit), commit[0]?.strings[0]], ['CZ', 'COMMIT'])
  assert.deepEqual([await found('idle'), await found('idle too')], [1, 1])
  client.close()
})

test('the same when its postmaster is killed, which makes backends end as if they had been told to', async () => {
  const client = await bed.open()
  assertFine(await client.query('BEGIN'))
  assertFine(await client.query("INSERT INTO kept VALUES ('orphan')"))
  const { dataDirectory } = bed.shards[0]!
  const [postmaster] = readFileSync(join(String(dataDirectory), 'postmaster.pid'), 'utf8').split('\n')
  process.kill(Number(postmaster), 'SIGKILL')
  client.send(wire.query("INSERT INTO kept VALUES ('orphan too')"))
  await bed.driver.fence('shard-1')
  await bed.driver.start('shard-1')
  const answer = await client.until('Z')
  assert.deepEqual([shapeOf(answer), answer.at(-1)?.body.toString()], ['CZ', 'T'], answer.join(' '))
  assertFine(await client.query('COMMIT'))
  assert.deepEqual([await found('orphan'), await found('orphan too')], [1, 1])
  client.close()
})

const statements: readonly (readonly [string, (mark: string) => Buffer, string])[] = [
  ['a query', (mark) => wire.query(`INSERT INTO kept SELECT '${mark}' FROM gate`), 'CZ'],
  ['an extended query', (mark) => wire.extendedQuery(`INSERT INTO kept SELECT '${mark}' FROM gate`), '12nCZ'],
  [
    'a pipeline',
    (mark) =>
      Buffer.concat([
        wire.query('SELECT 1'),
        wire.query(`INSERT INTO kept SELECT '${mark}' FROM gate`),
        wire.query('SELECT 2'),
      ]),
    'TDCZCZTDCZ',
  ],
]

for (const [what, form, shape] of statements) {
  test(`a transaction whose server dies in ${what} goes on with it`, async () => {
    const client = await bed.open()
    const mark = `in ${what}`
    await client.query('BEGIN')
    await client.query(`INSERT INTO kept VALUES ('before ${mark}')`)
    await closeGate()
    client.send(form(mark))
    process.kill(await atGate(mark), 'SIGKILL')
    const answer: WireMessage[] = []
    while (answer.filter(({ type }) => type === 'Z').length < shape.split('Z').length - 1)
      answer.push(await client.next())
    assert.equal(shapeOf(answer), shape, answer.join(' '))
    assertFine(await client.query('COMMIT'))
    assert.deepEqual([await found(mark), await found(`before ${mark}`)], [1, 1])
    client.close()
  })
}

test('a COMMIT that was rolled back with its server is run again with its transaction', async () => {
  const client = await bed.open()
  await client.query('BEGIN')
  await client.query("INSERT INTO kept VALUES ('late')")
  await closeGate()
  client.send(wire.query('COMMIT'))
  process.kill(await atGate('COMMIT'), 'SIGKILL')
  const answer = await client.until('Z')
  assert.deepEqual([shapeOf(answer), answer[0]?.strings[0]], ['CZ', 'COMMIT'], answer.join(' '))
  assert.equal(await found('late'), 1)
  client.close()
})

test('a transaction whose answers are not what they were is rolled back, and that is what its client is told', async () => {
  const client = await bed.open()
  await client.query('BEGIN')
  await client.query("INSERT INTO kept VALUES ('differs')")
  await client.query('SELECT random()')
  process.kill(await backendOf('random'), 'SIGKILL')
  const answer = await client.query("INSERT INTO kept VALUES ('differs too')")
  assert.deepEqual([sqlstatesOf(answer), answer.at(-1)?.body.toString()], [['40001'], 'E'], answer.join(' '))
  assert.deepEqual(sqlstatesOf(await client.query('SELECT 1')), ['25P02'])
  const end = await client.query('COMMIT')
  assert.deepEqual([end[0]?.strings[0], end.at(-1)?.body.toString()], ['ROLLBACK', 'I'])
  assert.deepEqual([await found('differs'), await found('differs too')], [0, 0])
  client.close()
})

/** The backend sleeps in a text with `mark`, and is none of those. */
async function asleep(mark: string, others: readonly number[]): Promise<number> {
  return await waitUntil(`${mark} to run`, async () => {
    const rows = await sql(`SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query LIKE '%${mark}%'`)
    const pid = Number(rows[0]?.pid ?? 0)
    return others.includes(pid) ? 0 : pid
  })
}

for (const [what, frames, first] of [
  ['one behind the other', ['SELECT x FROM state', 'SELECT 5 FROM pg_sleep(60)'], 1],
  ['in a pipeline', ['SELECT x FROM state', 'SELECT 6 FROM pg_sleep(60)'], 0],
] as const) {
  test(`a transaction that differs when it comes a second time, asked ${what}: one error, for what was not answered`, async () => {
    await sql('UPDATE state SET x = 1')
    const client = await bed.open()
    await client.query('BEGIN')
    client.send(...frames.slice(0, first).map((text) => wire.query(text)))
    if (first > 0) assertFine(await client.until('Z'))
    client.send(...frames.slice(first).map((text) => wire.query(text)))
    if (first === 0) assertFine(await client.until('Z'))
    const mark = frames[1].slice(0, 8)
    const one = await asleep(mark, [])
    process.kill(one, 'SIGKILL')
    const two = await asleep(mark, [one])
    await sql('UPDATE state SET x = 2')
    process.kill(two, 'SIGKILL')
    const told = await client.until('Z')
    assert.deepEqual([sqlstatesOf(told), told.at(-1)?.body.toString()], [['40001'], 'E'], told.join(' '))
    assert.equal(shapeOf(await client.query('ROLLBACK')), 'CZ')
    assert.equal(onlyValue(await client.query('SELECT 1')), '1')
    client.close()
  })
}

test('a COMMIT whose transaction cannot be the same again is refused, and the session goes on', async () => {
  const client = await bed.open()
  await client.query('BEGIN')
  await client.query("INSERT INTO kept VALUES ('late differs')")
  await client.query('SELECT random()')
  await closeGate()
  client.send(wire.query('COMMIT'))
  process.kill(await atGate('COMMIT'), 'SIGKILL')
  const answer = await client.until('Z')
  assert.deepEqual([sqlstatesOf(answer), answer.at(-1)?.body.toString()], [['40001'], 'I'], answer.join(' '))
  assert.equal(await found('late differs'), 0)
  assert.equal(onlyValue(await client.query('SELECT 1')), '1')
  client.close()
})

test('a transaction goes on with statements that it prepared, settings that it set, savepoints and cursors', async () => {
  const client = await bed.open()
  await client.query('BEGIN')
  await client.query("SET LOCAL application_name = 'replayed'")
  await client.exchange(Buffer.concat([wire.parse('mine', 'SELECT $1::int + 1'), wire.sync()]))
  await client.query('DECLARE c CURSOR FOR SELECT i FROM generate_series(1, 9) i')
  assert.deepEqual(rowsOf(await client.query('FETCH 2 FROM c')), [['1'], ['2']])
  await client.query('SAVEPOINT a')
  assert.deepEqual(sqlstatesOf(await client.query('SELECT 1/0')), ['22012'])
  await client.query('ROLLBACK TO a')
  assert.equal(onlyValue(await client.query("SELECT 'prepares'")), 'prepares')
  process.kill(await backendOf('prepares'), 'SIGKILL')
  assert.deepEqual(rowsOf(await client.query('FETCH 2 FROM c')), [['3'], ['4']])
  const frames = Buffer.concat([wire.bind('', 'mine', ['41']), wire.execute(''), wire.sync()])
  assert.equal(onlyValue(await client.exchange(frames)), '42')
  assert.equal(onlyValue(await client.query('SHOW application_name')), 'replayed')
  assertFine(await client.query('COMMIT'))
  assert.equal(onlyValue(await client.exchange(frames)), '42')
  assert.notEqual(onlyValue(await client.query('SHOW application_name')), 'replayed')
  client.close()
})

test('a setting of the transaction is undone with it, as if it had been set once', async () => {
  const client = await bed.open()
  const before = onlyValue(await client.query('SHOW DateStyle'))
  await client.query('BEGIN')
  await client.query("SET DateStyle = 'German'")
  assert.equal(onlyValue(await client.query("SELECT 'sets'")), 'sets')
  process.kill(await backendOf('sets'), 'SIGKILL')
  assert.equal(onlyValue(await client.query("SELECT '2026-11-22'::date")), '22.11.2026')
  await client.query('ROLLBACK')
  assert.equal(onlyValue(await client.query('SHOW DateStyle')), before)
  client.close()
})

for (const [what, statement] of [
  ['takes a number from a sequence', "SELECT nextval('kept_n_seq') IS NOT NULL"],
  ['calls a function that nobody knows', 'SELECT query_to_xml(NULL, true, true, NULL) IS NULL'],
  ['writes a file on the server', "COPY (SELECT 1) TO PROGRAM 'cat >/dev/null'"],
] as const) {
  test(`a transaction that ${what} is not run again: it is told as rolled back`, async () => {
    const client = await bed.open()
    await client.query('BEGIN')
    await client.query(`INSERT INTO kept VALUES ('once')`)
    assertFine(await client.query(statement))
    assertFine(await client.query(`SELECT 'outside ${what}'`))
    process.kill(await backendOf(`outside ${what}`), 'SIGKILL')
    let told: readonly string[] = []
    try {
      told = sqlstatesOf(await client.query('SELECT 1'))
    } catch (error) {
      // A session that is pinned is closed with an error.
      assert.match(String(error), /closed|08006/)
      told = ['08006']
    }
    assert.deepEqual(told, ['08006'])
    assert.equal(await found('once'), 0)
    client.close()
  })
}

test('a transaction of a tier without replay is told as rolled back', async () => {
  const client = await bed.open({ 'switchyard.tier': 'low' })
  await client.query('BEGIN')
  assertFine(await client.query("SELECT 'lowly'"))
  process.kill(await backendOf('lowly'), 'SIGKILL')
  assert.deepEqual(sqlstatesOf(await client.query('SELECT 1')), ['08006'])
  client.close()
})

const KILLS = 8

test('killed at any moment: transfers are done once or not at all, and most of those that were cut off go on', async () => {
  const clients = await Promise.all(Array.from({ length: 6 }, () => bed.open()))
  let isRunning = true
  let done = 0
  let told = 0
  const killer = (async () => {
    for (let round = 0; round < KILLS; round++) {
      await new Promise((resolve) => setTimeout(resolve, 90 + round * 41))
      const rows = await sql(
        `SELECT pid FROM pg_stat_activity WHERE query LIKE '%moment%' AND pid <> pg_backend_pid() LIMIT 1`,
      )
      if (rows[0] !== undefined) process.kill(Number(rows[0].pid), 'SIGKILL')
    }
    isRunning = false
  })()
  const confirmed: string[] = []
  await Promise.all(
    clients.map(async (client, number) => {
      for (let turn = 0; isRunning; turn++) {
        const id = `transfer ${number} ${turn}`
        const texts = [
          'BEGIN',
          `UPDATE account SET balance = balance - 1 WHERE id = ${(turn % 4) + 1} /* moment */`,
          `UPDATE account SET balance = balance + 1 WHERE id = ${((turn + 1) % 4) + 1}`,
          `INSERT INTO kept VALUES ('${id}') RETURNING id`,
          'COMMIT',
        ]
        let failed: string | null = null
        for (const text of texts) {
          const [error] = sqlstatesOf(await client.query(text, 30_000))
          if (error === undefined) continue
          // Two transfers in different directions may meet, on a server that nobody killed as well.
          assert.match(error, /^(08006|08007|40001|40P01)$/)
          failed = error
          await client.query('ROLLBACK')
          break
        }
        if (failed === null) confirmed.push(id)
        if (failed === null) done++
        else if (failed !== '40P01') told++
      }
    }),
  )
  await killer
  const rows = await sql("SELECT id, count(*)::int AS times FROM kept WHERE id LIKE 'transfer%' GROUP BY id")
  const times = new Map(rows.map((row) => [String(row.id), Number(row.times)]))
  for (const id of confirmed) assert.equal(times.get(id), 1, id)
  assert.ok([...times.values()].every((count) => count === 1))
  assert.deepEqual(await sql('SELECT sum(balance)::int AS total FROM account'), [{ total: 400 }])
  // Each kill ends everybody's; one may be hit too often, or meet what another has done meanwhile.
  assert.ok(done > 0 && told * 3 < KILLS * clients.length, `${told} told, ${done} done`)
  for (const client of clients) client.close()
})

test('a transaction whose BEGIN was put off until its first statement is run again as any other', async () => {
  const { configFile } = bed.router
  writeFileSync(configFile, readFileSync(configFile, 'utf8').replace('begin = "at-once"', 'begin = "deferred"'))
  await bed.console.query('RELOAD')
  const client = await bed.open()
  assertFine(await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ'))
  assertFine(await client.query("INSERT INTO kept VALUES ('late deferred')"))
  assert.equal(onlyValue(await client.query("SELECT 'deferred'")), 'deferred')
  process.kill(await backendOf('deferred'), 'SIGKILL')
  assert.equal(onlyValue(await client.query('SHOW transaction_isolation')), 'repeatable read')
  await closeGate()
  client.send(wire.query('COMMIT'))
  process.kill(await atGate('COMMIT'), 'SIGKILL')
  const answer = await client.until('Z')
  assert.deepEqual([shapeOf(answer), answer[0]?.strings[0]], ['CZ', 'COMMIT'], answer.join(' '))
  assert.equal(await found('late deferred'), 1)
  client.close()
  for (const [mark, begin] of [
    ['simple', wire.query('BEGIN')],
    ['extended', Buffer.concat([wire.parse('', 'BEGIN'), wire.bind('', ''), wire.execute(''), wire.sync()])],
  ] as const) {
    const other = await bed.open()
    // In one go: what was answered by the router is not sent again either.
    assertFine(await other.exchange(Buffer.concat([begin, wire.query(`INSERT INTO kept VALUES ('${mark}')`)]), 2))
    assert.equal(onlyValue(await other.query(`SELECT '${mark} BEGIN'`)), `${mark} BEGIN`)
    await crash(await backendOf(`${mark} BEGIN`))
    assert.equal(onlyValue(await other.query('SELECT 5')), '5')
    assertFine(await other.query('COMMIT'))
    assert.equal(await found(mark), 1)
    other.close()
  }
})
