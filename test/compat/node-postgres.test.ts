import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { test } from 'node:test'
import pg from 'pg'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'
import Cursor from 'pg-cursor'
import QueryStream from 'pg-query-stream'
import { Testbed } from '../support/testbed.ts'
import { waitUntil, within } from '../support/wait-until.ts'

const bed = await Testbed.open({ settings: { pool: { size: 4 } } })

test('a pool larger than the server pool: concurrent transactions are all right', async () => {
  const pool = bed.openPool()
  await pool.query('CREATE TABLE accounts (id int PRIMARY KEY, balance int)')
  await pool.query('INSERT INTO accounts SELECT i, 100 FROM generate_series(1, 10) i')
  await Promise.all(
    Array.from({ length: 60 }, async (_, n) => {
      const client = await pool.connect()
      try {
        const ids = [1 + (n % 10), 1 + ((n + 3) % 10)].sort((a, b) => a - b)
        await client.query('BEGIN')
        await client.query('SELECT * FROM accounts WHERE id = ANY($1) ORDER BY id FOR UPDATE', [ids])
        await client.query('UPDATE accounts SET balance = balance - 1 WHERE id = $1', [ids[0]])
        await client.query('UPDATE accounts SET balance = balance + 1 WHERE id = $1', [ids[1]])
        await client.query(n % 7 === 0 ? 'ROLLBACK' : 'COMMIT')
      } finally {
        client.release()
      }
    }),
  )
  const { rows } = await pool.query('SELECT sum(balance)::int AS total FROM accounts')
  assert.deepEqual(rows, [{ total: 1000 }])
})

test('connections that come and go', async () => {
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      for (let n = 0; n < 10; n += 1) {
        const client = new pg.Client({ ...bed.address, ...bed.role, database: bed.database })
        await client.connect()
        const { rows } = await client.query('SELECT $1::int AS n', [n])
        assert.deepEqual(rows, [{ n }])
        await client.end()
      }
    }),
  )
})

test('named statements, types, arrays, JSON, dates and bytes', async () => {
  const client = await bed.connectPg()
  const values = [
    42,
    'text',
    [1, 2, 3],
    { a: [true, null] },
    new Date('2024-02-29T12:00:00Z'),
    Buffer.from([0, 1, 255]),
  ]
  for (let n = 0; n < 3; n += 1) {
    const { rows } = await client.query({
      name: 'types',
      text: 'SELECT $1::int8 AS i, $2::text AS t, $3::int[] AS a, $4::jsonb AS j, $5::timestamptz AS d, $6::bytea AS b',
      values,
    })
    assert.deepEqual(rows[0], { i: '42', t: 'text', a: [1, 2, 3], j: { a: [true, null] }, d: values[4], b: values[5] })
  }
})

test('an error has its fields, and the client goes on', async () => {
  const client = await bed.connectPg()
  await client.query('CREATE TABLE uniques (x int CONSTRAINT only_once PRIMARY KEY)')
  await client.query('INSERT INTO uniques VALUES (1)')
  await assert.rejects(client.query('INSERT INTO uniques VALUES ($1)', [1]), { code: '23505', constraint: 'only_once' })
  assert.equal((await client.query('SELECT 1 AS one')).rows[0].one, 1)
})

test('pg-cursor reads a result in portions and leaves early', async () => {
  const client = await bed.connectPg()
  const cursor = client.query(new Cursor('SELECT generate_series(1, 1000) AS n'))
  let seen = 0
  for (let rows = await cursor.read(70); rows.length > 0 && seen < 500; rows = await cursor.read(70))
    seen += rows.length
  await cursor.close()
  assert.ok(seen >= 500)
  assert.equal((await client.query('SELECT 1 AS one')).rows[0].one, 1)
})

test('pg-query-stream streams many rows through a slow reader', async () => {
  const client = await bed.connectPg()
  const stream = client.query(new QueryStream(`SELECT i, repeat('x', 500) AS x FROM generate_series(1, 5000) i`))
  let rows = 0
  for await (const row of stream) {
    rows += 1
    assert.equal(row.i, rows)
    if (rows % 1000 === 0) await new Promise((resolve) => setTimeout(resolve, 20))
  }
  assert.equal(rows, 5000)
})

test('pg-copy-streams: in and out again, byte for byte', async () => {
  const client = await bed.connectPg()
  await client.query('CREATE TABLE copied (n int, x text)')
  const lines = Array.from({ length: 20_000 }, (_, n) => `${n}\t${'data '.repeat(n % 20)}end\n`)
  await pipeline(Readable.from(lines), client.query(copyFrom('COPY copied FROM STDIN')))
  const out: Buffer[] = []
  const collect = new Writable({
    write(chunk: Buffer, _, done) {
      out.push(chunk)
      done()
    },
  })
  await pipeline(client.query(copyTo('COPY (SELECT * FROM copied ORDER BY n) TO STDOUT')), collect)
  assert.equal(Buffer.concat(out).toString(), lines.join(''))
})

test('a COPY whose source fails is rolled back', async () => {
  const client = await bed.connectPg()
  await client.query('CREATE TABLE interrupted (n int)')
  const failing = Readable.from(
    (function* () {
      yield '1\n'
      throw new Error('the source is broken')
    })(),
  )
  await assert.rejects(pipeline(failing, client.query(copyFrom('COPY interrupted FROM STDIN'))))
  const { rows } = await client.query('SELECT count(*)::int AS n FROM interrupted')
  assert.deepEqual(rows, [{ n: 0 }])
})

test('a query is cancelled over a second connection by its process id and key', async () => {
  const client = await bed.connectPg()
  const query = client.query('SELECT pg_sleep(60)')
  await new Promise((resolve) => setTimeout(resolve, 200))
  const { processID, secretKey } = client as unknown as { processID: number; secretKey: number }
  const canceller = new pg.Client({ ...bed.address }) as unknown as {
    connection: {
      connect(port: number, host: string): void
      cancel(pid: number, key: number): void
      end(): void
    } & NodeJS.EventEmitter
  }
  canceller.connection.connect(bed.address.port, bed.address.host)
  await once(canceller.connection, 'connect')
  canceller.connection.cancel(processID, secretKey)
  await assert.rejects(within(5_000, 'the query to end', query), { code: '57014' })
  canceller.connection.end()
})

test('LISTEN keeps hearing while others use the pool, and no one else hears', async () => {
  const listener = await bed.connectPg()
  const other = await bed.connectPg()
  const heard: string[] = []
  const overheard: string[] = []
  listener.on('notification', (message) => heard.push(String(message.payload)))
  other.on('notification', (message) => overheard.push(String(message.payload)))
  await listener.query('LISTEN news')
  const pool = bed.openPool({ max: 6 })
  for (let n = 0; n < 20; n += 1) {
    await Promise.all([pool.query(`SELECT pg_notify('news', $1)`, [String(n)]), other.query('SELECT 1')])
  }
  await waitUntil('all notifications', () => heard.length === 20)
  assert.deepEqual(
    heard,
    Array.from({ length: 20 }, (_, n) => String(n)),
  )
  assert.deepEqual(overheard, [])
})

test('a client whose process says goodbye in the middle of a query does not disturb the pool', async () => {
  const pool = bed.openPool({ max: 5 })
  for (let n = 0; n < 5; n += 1) {
    const client = new pg.Client({ ...bed.address, ...bed.role, database: bed.database })
    client.on('error', () => {})
    await client.connect()
    client.query('SELECT pg_sleep(0.3)').catch(() => {})
    await new Promise((resolve) => setTimeout(resolve, 20))
    client.end().catch(() => {})
    assert.equal((await pool.query('SELECT 1 AS one')).rows[0].one, 1)
  }
})

test('statement_timeout and application_name of the connection options count', async () => {
  const client = await bed.connectPg({ statement_timeout: 100, application_name: 'from pg', options: '-c geqo=off' })
  await assert.rejects(client.query('SELECT pg_sleep(5)'), { code: '57014' })
  const { rows } = await client.query(
    `SELECT current_setting('application_name') AS name, current_setting('geqo') AS geqo`,
  )
  assert.deepEqual(rows, [{ name: 'from pg', geqo: 'off' }])
})
