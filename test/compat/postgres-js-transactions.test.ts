import assert from 'node:assert/strict'
import { test } from 'node:test'
import postgres from 'postgres'
import { isDirect, Testbed } from '../support/testbed.ts'
import { waitUntil, within } from '../support/wait-until.ts'

const bed = await Testbed.open({ settings: { pool: { size: 4 } } })

function connect(options: postgres.Options<Record<string, never>> = {}) {
  const { host, port } = bed.address
  const { user, password } = bed.role
  const sql = postgres({ host, port, user, password, database: bed.database, max: 10, onnotice: () => {}, ...options })
  return bed.onClose(sql, () => sql.end({ timeout: 2 }))
}

test('more transactions at once than server connections: transfers neither lose nor make money', async () => {
  const sql = connect({ max: 16 })
  await sql`CREATE TABLE wallets AS SELECT i AS id, 100 AS coins FROM generate_series(0, 9) i`
  await sql`ALTER TABLE wallets ADD PRIMARY KEY (id), ADD CHECK (coins >= 0)`
  const outcomes = await Promise.allSettled(
    Array.from({ length: 120 }, (_, n) =>
      sql.begin(async (transaction) => {
        const [from, to] = [n % 10, (n * 7 + 3) % 10]
        await transaction`SELECT FROM wallets WHERE id IN ${transaction([from, to])} ORDER BY id FOR UPDATE`
        await transaction`UPDATE wallets SET coins = coins + ${n} WHERE id = ${to}`
        await transaction`UPDATE wallets SET coins = coins - ${n} WHERE id = ${from}`
      }),
    ),
  )
  for (const outcome of outcomes) if (outcome.status === 'rejected') assert.equal(outcome.reason.code, '23514')
  assert.deepEqual([...(await sql`SELECT sum(coins)::int AS total FROM wallets`)], [{ total: 1000 }])
})

test('savepoints within savepoints: each is undone alone', async () => {
  const sql = connect()
  await sql`CREATE TABLE nested (name text)`
  await sql.begin(async (outer) => {
    await outer`INSERT INTO nested VALUES ('outer')`
    await outer.savepoint('first', async (first) => {
      await first`INSERT INTO nested VALUES ('first')`
      await assert.rejects(
        first.savepoint('second', async (second) => {
          await second`INSERT INTO nested VALUES ('second')`
          await second.savepoint((third) => third`INSERT INTO nested VALUES ('third')`)
          await second`SELECT 1/0`
        }),
        { code: '22012' },
      )
      await first`INSERT INTO nested VALUES ('after second')`
    })
  })
  const names = await sql`SELECT name FROM nested ORDER BY ctid`.values()
  assert.deepEqual(names.flat(), ['outer', 'first', 'after second'])
})

test('statements of a transaction that are sent without waiting', async () => {
  const sql = connect()
  await sql`CREATE TABLE ahead (n int)`
  const [inserted, counted] = await sql.begin((transaction) => [
    transaction`INSERT INTO ahead SELECT generate_series(1, 5)`,
    transaction`SELECT count(*)::int AS n FROM ahead`,
  ])
  assert.deepEqual([inserted.count, counted[0]?.n], [5, 5])
  await assert.rejects(
    sql.begin((transaction) => [
      transaction`INSERT INTO ahead VALUES (6)`,
      transaction`SELECT 1/0`,
      transaction`INSERT INTO ahead VALUES (7)`,
    ]),
    { code: '22012' },
  )
  assert.equal((await sql`SELECT count(*)::int AS n FROM ahead`)[0]?.n, 5)
})

test('isolation level and access mode are the ones asked for', async () => {
  const sql = connect({ max: 2 })
  const level = await sql.begin('isolation level serializable read only', async (transaction) => {
    const [row] = await transaction`SELECT current_setting('transaction_isolation') AS level`
    await assert.rejects(
      transaction.savepoint((inner) => inner`CREATE TABLE refused (n int)`),
      { code: '25006' },
    )
    return row?.level
  })
  assert.equal(level, 'serializable')
  assert.equal((await sql`SHOW transaction_isolation`)[0]?.transaction_isolation, 'read committed')
})

test('a reserved connection keeps what it has set, while others use the rest of the pool', async () => {
  const sql = connect({ max: 6 })
  const reserved = await sql.reserve()
  const other = await sql.reserve()
  await reserved`SET work_mem = '7MB'`
  await reserved`CREATE TEMP TABLE mine AS SELECT 42 AS n`
  await other`SET work_mem = '8MB'`
  await Promise.all(Array.from({ length: 40 }, (_, n) => sql`SELECT ${n}::int`))
  for (let round = 0; round < 3; round += 1) {
    assert.equal((await reserved`SHOW work_mem`)[0]?.work_mem, '7MB')
    assert.equal((await other`SHOW work_mem`)[0]?.work_mem, '8MB')
    assert.equal((await reserved`SELECT n FROM mine`)[0]?.n, 42)
    await assert.rejects(other`SELECT n FROM mine`, { code: '42P01' })
  }
  reserved.release()
  other.release()
  const shown = await Promise.all(Array.from({ length: 4 }, () => connect({ max: 1 })`SHOW work_mem`))
  assert.deepEqual(
    shown.map(([row]) => row?.work_mem),
    ['4MB', '4MB', '4MB', '4MB'],
  )
})

test('settings of the connection count, and stay on this side', async () => {
  const named = connect({ max: 3, connection: { application_name: 'named', statement_timeout: 5_000 } })
  const others = connect({ max: 3 })
  for (let round = 0; round < 10; round += 1) {
    const [[mine], [theirs]] = await Promise.all([
      named`SELECT current_setting('application_name') AS name, current_setting('statement_timeout') AS timeout`,
      others`SELECT current_setting('application_name') AS name, current_setting('statement_timeout') AS timeout`,
    ])
    assert.deepEqual({ ...mine }, { name: 'named', timeout: '5s' })
    assert.deepEqual({ ...theirs }, { name: 'postgres.js', timeout: '0' })
  }
})

test('max_lifetime and idle_timeout replace connections without a query noticing', async () => {
  let closed = 0
  const sql = connect({
    max: 3,
    max_lifetime: 0.3,
    idle_timeout: 0.1,
    onclose: () => {
      closed += 1
    },
  })
  let n = 0
  while (closed < 6) {
    const numbers = Array.from({ length: 6 }, () => n++)
    const rows = await Promise.all(numbers.map((number) => sql`SELECT ${number}::int AS n`))
    assert.deepEqual(
      rows.map(([row]) => row?.n),
      numbers,
    )
    await sql.begin(async (transaction) => {
      await transaction`SELECT 1`
      await transaction`SELECT pg_sleep(0.02)`
    })
  }
})

test('several channels on one connection, with names and payloads of all kinds', async () => {
  const sql = connect()
  const heard: string[] = []
  const channels = ['plain', 'Mixed Case', 'with "quotes"', 'ünïcödé', `it's`]
  const listeners = []
  for (const channel of channels)
    listeners.push(await sql.listen(channel, (payload) => heard.push(`${channel}: ${payload}`)))
  for (const channel of channels) await sql.notify(channel, `"${channel}" \\ 'x'\n👩‍👩‍👧`)
  await sql.notify('nobody listens', 'unheard')
  await waitUntil('all of them', () => heard.length === channels.length)
  assert.deepEqual(
    heard,
    channels.map((channel) => `${channel}: "${channel}" \\ 'x'\n👩‍👩‍👧`),
  )
  for (const listener of listeners) await listener.unlisten()
  await sql.notify('plain', 'unheard')
})

test('a listener whose server process dies hears again by itself', async () => {
  const sql = connect({ max: 2 })
  const heard = new Set<string>()
  await sql.listen('resilient', (payload) => heard.add(payload))
  await sql.notify('resilient', 'before')
  await waitUntil('the first', () => heard.has('before'))
  const listening = await bed.sql(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query ILIKE 'listen %'`,
  )
  assert.ok(isDirect ? listening.length === 1 : listening.length <= 1)
  await waitUntil('one after that', async () => {
    await sql.notify('resilient', 'after')
    return heard.has('after')
  })
})

test('the end waits for what was asked, and refuses what comes later', async () => {
  const sql = connect({ max: 3 })
  const ask = () => Promise.all(Array.from({ length: 12 }, (_, n) => sql`SELECT ${n}::int AS n, pg_sleep(0.02)`))
  await ask()
  const pending = ask()
  // The driver sends a query in the next turn only.
  await new Promise((resolve) => setImmediate(resolve))
  const [rows] = await within(5_000, 'the end', Promise.all([pending, sql.end({ timeout: 5 })]))
  assert.deepEqual(
    rows.map(([row]) => row?.n),
    Array.from({ length: 12 }, (_, n) => n),
  )
  await assert.rejects(sql`SELECT 1`, { code: 'CONNECTION_ENDED' })
})
