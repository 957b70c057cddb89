import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { test } from 'node:test'
import postgres from 'postgres'
import { Testbed } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'

const bed = await Testbed.open({ settings: { pool: { size: 4 } } })

function connect(options: postgres.Options<Record<string, never>> = {}) {
  const { host, port } = bed.address
  const { user, password } = bed.role
  const sql = postgres({ host, port, user, password, database: bed.database, max: 10, onnotice: () => {}, ...options })
  return bed.onClose(sql, () => sql.end({ timeout: 2 }))
}

test('many queries on one connection are pipelined and answered in order', async () => {
  const sql = connect({ max: 1 })
  const rows = await Promise.all(Array.from({ length: 300 }, (_, n) => sql`SELECT ${n}::int AS n`))
  assert.deepEqual(
    rows.map(([row]) => row?.n),
    Array.from({ length: 300 }, (_, n) => n),
  )
})

test('prepared statements over more connections than servers', async () => {
  const sql = connect({ max: 12 })
  const results = await Promise.all(
    Array.from({ length: 400 }, (_, n) => sql`SELECT ${n}::int + ${n % 7}::int AS sum, ${`text ${n}`}::text AS text`),
  )
  for (const [n, [row]] of results.entries()) assert.deepEqual({ ...row }, { sum: n + (n % 7), text: `text ${n}` })
})

test('without prepared statements (prepare: false)', async () => {
  const sql = connect({ prepare: false })
  const results = await Promise.all(Array.from({ length: 50 }, (_, n) => sql`SELECT ${n}::int AS n`))
  for (const [n, [row]] of results.entries()) assert.equal(row?.n, n)
})

test('transactions with savepoints commit and roll back', async () => {
  const sql = connect()
  await sql`CREATE TABLE ledger (x int)`
  await sql.begin(async (transaction) => {
    await transaction`INSERT INTO ledger VALUES (1)`
    await transaction
      .savepoint(async (inner) => {
        await inner`INSERT INTO ledger VALUES (2)`
        throw new Error('undo the inner one')
      })
      .catch(() => {})
    await transaction`INSERT INTO ledger VALUES (3)`
  })
  await assert.rejects(
    sql.begin(async (transaction) => {
      await transaction`INSERT INTO ledger VALUES (4)`
      await transaction`SELECT 1/0`
    }),
    { code: '22012' },
  )
  assert.deepEqual(
    [...(await sql`SELECT x FROM ledger ORDER BY x`)].map((row) => row.x),
    [1, 3],
  )
})

test('a cursor reads in portions', async () => {
  const sql = connect()
  let seen = 0
  for await (const rows of sql`SELECT generate_series(1, 1000) AS n`.cursor(90)) seen += rows.length
  assert.equal(seen, 1000)
  let early = 0
  for await (const rows of sql`SELECT generate_series(1, 1000) AS n`.cursor(10)) {
    early += rows.length
    if (early >= 50) break
  }
  assert.equal(early, 50)
  assert.equal((await sql`SELECT 1 AS one`)[0]?.one, 1)
})

test('large parameters and large results', async () => {
  const sql = connect({ max: 2 })
  const big = 'ö'.repeat(2_000_000)
  const [row] = await sql`SELECT ${big}::text AS big, length(${big}::text) AS length`
  assert.equal(row?.length, big.length)
  assert.equal(row?.big, big)
  const rows = await sql`SELECT i, repeat('r', 1000) AS r FROM generate_series(1, 20000) i`
  assert.equal(rows.length, 20_000)
})

test('COPY in and out', async () => {
  const sql = connect()
  await sql`CREATE TABLE poured (n int, x text)`
  const lines = Array.from({ length: 3_000 }, (_, n) => `${n}\tline ${n}\n`)
  await sql.begin(async (transaction) => {
    await pipeline(Readable.from(lines), await transaction`COPY poured FROM STDIN`.writable())
  })
  const readable = await sql`COPY (SELECT * FROM poured ORDER BY n) TO STDOUT`.readable()
  assert.equal(await text(readable), lines.join(''))
})

test('cancelling a query', async () => {
  const sql = connect()
  const query = sql`SELECT pg_sleep(60)`
  setTimeout(() => query.cancel(), 200)
  await assert.rejects(query, { code: '57014' })
  assert.equal((await sql`SELECT 1 AS one`)[0]?.one, 1)
})

test('LISTEN and NOTIFY', async () => {
  const sql = connect()
  const heard: string[] = []
  const { unlisten } = await sql.listen('channel', (payload) => heard.push(payload))
  for (let n = 0; n < 10; n += 1) await sql.notify('channel', String(n))
  await waitUntil('all notifications', () => heard.length === 10)
  await unlisten()
})

test('several statements in one simple query', async () => {
  const sql = connect()
  const results = await sql.unsafe('SELECT 1 AS a; SELECT 2 AS b; SELECT 3 AS c').simple()
  assert.deepEqual(JSON.parse(JSON.stringify(results)), [[{ a: 1 }], [{ b: 2 }], [{ c: 3 }]])
})

test('errors keep the connection, also in a pipeline', async () => {
  const sql = connect({ max: 1 })
  const results = await Promise.allSettled(
    Array.from({ length: 40 }, (_, n) => sql`SELECT 10 / ${n - 20}::int AS result`),
  )
  assert.equal(results.filter((result) => result.status === 'rejected').length, 1)
})

test('types are fetched and arrays work', async () => {
  const sql = connect({ fetch_types: true })
  await sql`CREATE TYPE mood AS ENUM ('sad', 'happy')`
  const [row] =
    await sql`SELECT ${sql.array([1, 2, 3])}::int[] AS numbers, ${'happy'}::mood AS mood, ${sql.json({ a: 1 })}::jsonb AS json`
  assert.deepEqual({ ...row }, { numbers: [1, 2, 3], mood: 'happy', json: { a: 1 } })
})
