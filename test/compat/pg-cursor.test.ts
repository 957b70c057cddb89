import assert from 'node:assert/strict'
import { Transform, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { test } from 'node:test'
import type pg from 'pg'
import Cursor from 'pg-cursor'
import QueryStream from 'pg-query-stream'
import { Testbed } from '../support/testbed.ts'
import { within } from '../support/wait-until.ts'

const bed = await Testbed.open({ settings: { pool: { size: 3 } } })

async function isUsable(client: pg.ClientBase): Promise<void> {
  assert.deepEqual((await within(5_000, 'an answer', client.query('SELECT 1 AS one'))).rows, [{ one: 1 }])
}

test('more cursors than server connections, in portions of all sizes, with parameters', async () => {
  const clients = await Promise.all(Array.from({ length: 9 }, () => bed.connectPg()))
  await Promise.all(
    clients.map(async (client, who) => {
      for (const size of [1, 7, 100, 1000]) {
        const cursor = client.query(
          new Cursor('SELECT $1::int AS who, i FROM generate_series(1, $2::int) i', [who, 100]),
        )
        const seen: number[] = []
        for (let rows = await cursor.read(size); rows.length > 0; rows = await cursor.read(size)) {
          assert.ok(rows.every((row) => row.who === who))
          seen.push(...rows.map((row) => row.i))
        }
        assert.deepEqual(
          seen,
          Array.from({ length: 100 }, (_, n) => n + 1),
        )
      }
      await isUsable(client)
    }),
  )
})

test('a cursor that is closed before its first portion, in its middle, at its end, and twice', async () => {
  const client = await bed.connectPg()
  for (const portions of [0, 1, 2, 10]) {
    const cursor = client.query(new Cursor('SELECT generate_series(1, 50) AS n'))
    for (let n = 0; n < portions; n += 1) await cursor.read(10)
    await cursor.close()
    await cursor.close()
    await isUsable(client)
  }
})

test('what is asked behind an open cursor is answered when it is closed', async () => {
  const client = await bed.connectPg()
  const cursor = client.query(new Cursor('SELECT generate_series(1, 50) AS n'))
  const behind = Promise.all([client.query('SELECT 1 AS n'), client.query({ name: 'two', text: 'SELECT 2 AS n' })])
  assert.equal((await cursor.read(10)).length, 10)
  await cursor.close()
  assert.deepEqual(
    (await behind).map(({ rows }) => rows[0].n),
    [1, 2],
  )
})

test('an error of a cursor: in its text, in its first portion, in a later one, in a transaction', async () => {
  const client = await bed.connectPg()
  const wrong = client.query(new Cursor('SELECT wrong'))
  await assert.rejects(wrong.read(1), { code: '42703' })
  await isUsable(client)
  const first = client.query(new Cursor('SELECT 1 / (i - 1) FROM generate_series(1, 10) i'))
  await assert.rejects(first.read(5), { code: '22012' })
  await isUsable(client)
  await client.query('BEGIN')
  const later = client.query(new Cursor('SELECT 1 / (i - 8) FROM generate_series(1, 10) i'))
  assert.equal((await later.read(5)).length, 5)
  await assert.rejects(later.read(5), { code: '22012' })
  await assert.rejects(later.read(5), { code: '22012' })
  await assert.rejects(client.query('SELECT 1'), { code: '25P02' })
  await client.query('ROLLBACK')
  await isUsable(client)
})

test('a cursor over no rows, over an INSERT, and with rows as arrays', async () => {
  const client = await bed.connectPg()
  const none = client.query(new Cursor('SELECT 1 WHERE false'))
  assert.deepEqual(await none.read(10), [])
  await client.query('CREATE TABLE filled (n int)')
  const inserting = client.query(new Cursor('INSERT INTO filled SELECT generate_series(1, 5) RETURNING n'))
  assert.equal((await inserting.read(3)).length, 3)
  assert.equal((await inserting.read(3)).length, 2)
  assert.deepEqual(await inserting.read(3), [])
  assert.deepEqual((await client.query('SELECT count(*)::int AS n FROM filled')).rows, [{ n: 5 }])
  const arrays = client.query(new Cursor('SELECT 1, 2', [], { rowMode: 'array' }))
  assert.deepEqual(await arrays.read(10), [[1, 2]])
  await arrays.close()
})

test('a client that ends with its cursor open leaves a server connection that serves others', async () => {
  for (let n = 0; n < 6; n += 1) {
    const client = await bed.connectPg()
    const cursor = client.query(new Cursor('SELECT generate_series(1, 1000000) AS n'))
    assert.equal((await cursor.read(10)).length, 10)
    await client.end()
  }
  await isUsable(await bed.connectPg())
})

test('query streams from a pool, each piped through a slow stage', async () => {
  const pool = bed.openPool({ max: 6 })
  await Promise.all(
    Array.from({ length: 12 }, async (_, who) => {
      const client = await pool.connect()
      let sum = 0
      const slow = new Transform({
        objectMode: true,
        transform(row: { n: number }, _encoding, done) {
          if (row.n % 100 === 0) setTimeout(done, 1, null, row)
          else done(null, row)
        },
      })
      const add = new Writable({
        objectMode: true,
        write(row: { n: number; who: number }, _encoding, done) {
          assert.equal(row.who, who)
          sum += row.n
          done()
        },
      })
      const text = `SELECT n, $1::int AS who, repeat('x', 200) AS filler FROM generate_series(1, 500) n`
      await pipeline(client.query(new QueryStream(text, [who], { batchSize: 37 })), slow, add)
      client.release()
      assert.equal(sum, (500 * 501) / 2)
    }),
  )
})

test('a query stream that is destroyed early, by its reader or by an error, leaves its client usable', async () => {
  const client = await bed.connectPg()
  const text = 'SELECT generate_series(1, 1000000) AS n'
  for (let round = 0; round < 3; round += 1) {
    const seen: number[] = []
    for await (const row of client.query(new QueryStream(text, [], { highWaterMark: 10 }))) {
      seen.push(row.n)
      if (seen.length === 25) break
    }
    assert.equal(seen.at(-1), 25)
    await isUsable(client)
  }
  const failing = new Writable({
    objectMode: true,
    write(_row, _encoding, done) {
      done(new Error('the reader is broken'))
    },
  })
  await assert.rejects(pipeline(client.query(new QueryStream(text)), failing), /the reader is broken/)
  await isUsable(client)
})

test('a query stream whose query fails on its way says so, after the rows before it', async () => {
  const client = await bed.connectPg()
  const seen: number[] = []
  await assert.rejects(
    async () => {
      const text = 'SELECT 1000 / (i - 150) AS n, i FROM generate_series(1, 1000) i'
      for await (const row of client.query(new QueryStream(text, [], { batchSize: 50 }))) seen.push(row.i)
    },
    { code: '22012' },
  )
  assert.deepEqual(
    seen,
    Array.from({ length: 100 }, (_, n) => n + 1),
  )
  await isUsable(client)
})
