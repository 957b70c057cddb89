import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { test } from 'node:test'
import postgres from 'postgres'
import { isDirect, Testbed } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'

const bed = await Testbed.open({ settings: { pool: { size: 3 } } })

function connect(options: postgres.Options<Record<string, postgres.PostgresType>> = {}) {
  const { host, port } = bed.address
  const { user, password } = bed.role
  const sql = postgres({ host, port, user, password, database: bed.database, max: 8, onnotice: () => {}, ...options })
  return bed.onClose(sql, () => sql.end({ timeout: 2 }))
}

for (const prepare of [true, false]) {
  const how = prepare ? 'prepared' : 'not prepared'

  test(`a thousand queries at once, with errors among them (${how})`, async () => {
    const sql = connect({ prepare })
    const outcomes = await Promise.allSettled(
      Array.from({ length: 1000 }, (_, n) => sql`SELECT 100 / ${n % 50}::int AS result, ${`text ${n}`} AS text`),
    )
    for (const [n, outcome] of outcomes.entries()) {
      if (outcome.status === 'rejected') assert.deepEqual([n % 50, outcome.reason.code], [0, '22012'])
      else assert.deepEqual({ ...outcome.value[0] }, { result: Math.trunc(100 / (n % 50)), text: `text ${n}` })
    }
  })

  test(`an error has its fields, its query and its parameters (${how})`, async () => {
    const sql = connect({ prepare })
    await sql`DROP TABLE IF EXISTS checked`
    await sql`CREATE TABLE checked (n int CONSTRAINT positive CHECK (n > 0))`
    await assert.rejects(sql`INSERT INTO checked VALUES (${-5})`, {
      name: 'PostgresError',
      severity: 'ERROR',
      code: '23514',
      detail: 'Failing row contains (-5).',
      schema_name: 'public',
      table_name: 'checked',
      constraint_name: 'positive',
      routine: 'ExecConstraints',
      query: 'INSERT INTO checked VALUES ($1)',
      parameters: ['-5'],
    })
    await assert.rejects(sql`SELECT 1, wrong`, { code: '42703', position: '11' })
  })

  test(`unsafe with parameters, of many texts (${how})`, async () => {
    const sql = connect({ prepare })
    await Promise.all(
      Array.from({ length: 100 }, async (_, n) => {
        const [row] = await sql.unsafe(`SELECT $1::int + ${n} AS sum, $2::text AS "text"`, [n, `'${n}'`], {
          prepare: n % 2 === 0,
        })
        assert.deepEqual({ ...row }, { sum: 2 * n, text: `'${n}'` })
      }),
    )
  })

  test(`cursors of several sizes, to the end and given up (${how})`, async () => {
    const sql = connect({ prepare })
    await Promise.all(
      [1, 13, 100, 1000].map(async (size) => {
        let seen = 0
        await sql`SELECT generate_series(1, 100) AS n`.cursor(size, (rows) => {
          for (const row of rows) assert.equal(row.n, ++seen)
        })
        assert.equal(seen, 100)
        let early = 0
        await sql`SELECT generate_series(1, 100000) AS n`.cursor(10, (rows) => {
          early += rows.length
          return early >= 30 ? sql.CLOSE : undefined
        })
        assert.equal(early, 30)
        assert.equal((await sql`SELECT 1 AS one`)[0]?.one, 1)
      }),
    )
    await assert.rejects(
      async () => {
        for await (const _ of sql`SELECT 1 / (i - 40) FROM generate_series(1, 100) i`.cursor(20));
      },
      { code: '22012' },
    )
  })
}

test('forEach gets each row as it comes', async () => {
  const sql = connect()
  await Promise.all(
    Array.from({ length: 8 }, async (_, who) => {
      let sum = 0
      const result = await sql`SELECT n, ${who}::int AS who FROM generate_series(1, 2000) n`.forEach((row) => {
        assert.equal(row.who, who)
        sum += row.n
      })
      assert.equal(sum, (2000 * 2001) / 2)
      assert.equal(result.count, 2000)
    }),
  )
})

test('describe tells parameters and columns without running anything', async () => {
  const sql = connect()
  await sql`CREATE TABLE described (id int, name text)`
  for (let round = 0; round < 3; round += 1) {
    const { types, columns, string } =
      await sql`INSERT INTO described VALUES (${1}, ${'x'}) RETURNING name, id`.describe()
    assert.deepEqual(types, [23, 25])
    assert.deepEqual(
      columns.map(({ name, type }) => [name, type]),
      [
        ['name', 25],
        ['id', 23],
      ],
    )
    assert.equal(string, 'INSERT INTO described VALUES ($1, $2) RETURNING name, id')
  }
  assert.equal((await sql`SELECT count(*)::int AS n FROM described`)[0]?.n, 0)
  await assert.rejects(sql`SELECT wrong`.describe(), { code: '42703' })
})

test('simple queries: several statements, an error among them, a transaction in one string', async () => {
  const sql = connect({ max: 1 })
  await sql`CREATE TABLE simple (n int)`
  await assert.rejects(
    sql.unsafe('INSERT INTO simple VALUES (1); SELECT 1/0; INSERT INTO simple VALUES (2)').simple(),
    {
      code: '22012',
    },
  )
  await sql
    .unsafe('BEGIN; INSERT INTO simple VALUES (3); COMMIT; BEGIN; INSERT INTO simple VALUES (4); ROLLBACK')
    .simple()
  assert.deepEqual([...(await sql`SELECT n FROM simple`.values())], [[3]])
})

test('helpers: lists of values, of rows, of columns, fragments', async () => {
  const sql = connect()
  await sql`CREATE TABLE people (id int, name text, age int)`
  const people = Array.from({ length: 300 }, (_, id) => ({ id, name: `name ${id} 'quoted' "ü"`, age: id % 90 }))
  await sql`INSERT INTO people ${sql(people)}`
  const condition = (age: number) => sql`age < ${age}`
  const rows =
    await sql`SELECT ${sql(['id', 'name'])} FROM ${sql('people')} WHERE ${condition(5)} AND id IN ${sql([1, 2, 91])} ORDER BY id`
  assert.deepEqual(
    rows.map((row) => ({ ...row })),
    [1, 2, 91].map((id) => ({ id, name: `name ${id} 'quoted' "ü"` })),
  )
  await sql`UPDATE people SET ${sql({ name: 'renamed', age: 1 }, 'name', 'age')} WHERE id = ${1}`
  assert.deepEqual([...(await sql`SELECT name, age FROM people WHERE id = 1`.values())], [['renamed', 1]])
})

test('types that are fetched: arrays of an enum of our own; and types with functions of our own', async () => {
  const admin = connect({ max: 1 })
  await admin.unsafe(`CREATE TYPE colour AS ENUM ('red', 'light blue', 'a"b')`).simple()
  const sql = connect({
    types: { point: { to: 600, from: [600], serialize: ({ x, y }) => `(${x},${y})`, parse: (text: string) => text } },
  })
  const colours = ['light blue', 'a"b', 'red']
  for (const client of [sql, connect({ fetch_types: true, max: 1 })]) {
    const [row] = await client`SELECT ${colours}::colour[] AS colours`
    assert.deepEqual({ ...row }, { colours })
  }
  const [raw] = await connect({ fetch_types: false })`SELECT ARRAY['red']::colour[] AS colours`
  assert.deepEqual({ ...raw }, { colours: '{red}' })
  const [point] = await sql`SELECT ${sql.typed({ x: 1, y: 2 } as never, 600)} AS point`
  assert.deepEqual({ ...point }, { point: '(1,2)' })
})

test('values come back: bigint, numeric, bytea, json, dates, nulls, awkward text', async () => {
  const { host, port } = bed.address
  const { user, password } = bed.role
  const options = { host, port, user, password, database: bed.database, max: 8, types: { bigint: postgres.BigInt } }
  const sql = bed.onClose(postgres(options), (client) => client.end({ timeout: 2 }))
  const text = `'" \\ $1 -- /* */ ; \t\r\n \u0001 \u202e ÿ 👩‍👩‍👧 \uffff`
  const date = new Date('2024-02-29T23:59:59.999Z')
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))
  const results = await Promise.all(
    Array.from(
      { length: 20 },
      () => sql`
      SELECT ${9007199254740993n}::int8 AS big, ${'12345678901234567890.123'}::numeric AS numeric, ${bytes}::bytea AS bytes,
             ${sql.json({ text, list: [1, null] })}::jsonb AS json, ${date}::timestamptz AS date, ${null}::text AS null,
             ${text} AS text, ${[text, '', 'NULL']}::text[] AS texts`,
    ),
  )
  for (const [row] of results) {
    assert.deepEqual(
      { ...row, bytes: Buffer.from(row?.bytes) },
      {
        big: 9007199254740993n,
        numeric: '12345678901234567890.123',
        bytes,
        json: { text, list: [1, null] },
        date,
        null: null,
        text,
        texts: [text, '', 'NULL'],
      },
    )
  }
})

test('COPY: megabytes in through a writable and out through a readable, and one that is given up', async () => {
  const sql = connect()
  await sql`CREATE TABLE copied (n int, x text)`
  const line = (n: number) => `${n}\t${'ü'.repeat(500)}\n`
  const lines = Array.from({ length: 10_000 }, (_, n) => line(n))
  await pipeline(Readable.from(lines), await sql`COPY copied FROM STDIN`.writable())
  let rest = lines.join('')
  for await (const chunk of await sql`COPY (SELECT * FROM copied ORDER BY n) TO STDOUT`.readable()) {
    const part = String(chunk)
    assert.ok(rest.startsWith(part))
    rest = rest.slice(part.length)
  }
  assert.equal(rest, '')
  const abandoned = await sql`COPY copied FROM STDIN`.writable()
  abandoned.on('error', () => {})
  abandoned.write(line(10_000))
  abandoned.destroy(new Error('no more'))
  assert.equal((await sql`SELECT count(*)::int AS n FROM copied`)[0]?.n, 10_000)
  assert.equal((await sql`SELECT 1 AS one`)[0]?.one, 1)
})

test('queries that run and queries that wait for a server connection are cancelled, the others are not', async () => {
  const sql = connect({ max: 6 })
  const reserved = await Promise.all(Array.from({ length: 6 }, () => sql.reserve()))
  const sleeping = reserved.map((connection) => connection`SELECT pg_sleep(30)`)
  const outcomes = Promise.allSettled(sleeping)
  const others = connect({ max: 2 })
  await waitUntil('them to run, or to wait', async () => {
    const backends = await bed.cluster.backends(bed.database)
    const running = backends.filter(({ state, query }) => state === 'active' && query === 'SELECT pg_sleep(30)').length
    return isDirect ? running === 6 : running === 3 && (await bed.pool()).cl_waiting === 3
  })
  const answer = others`SELECT 1 AS one`.execute()
  for (const query of sleeping.reverse()) query.cancel()
  for (const outcome of await outcomes) assert.equal(outcome.status === 'rejected' && outcome.reason.code, '57014')
  assert.equal((await answer)[0]?.one, 1)
  for (const connection of reserved) {
    assert.equal((await connection`SELECT 1 AS one`)[0]?.one, 1)
    connection.release()
  }
})
