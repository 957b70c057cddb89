import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { PassThrough, Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { test } from 'node:test'
import type pg from 'pg'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'
import { Testbed } from '../support/testbed.ts'
import { waitUntil, within } from '../support/wait-until.ts'

const bed = await Testbed.open({ settings: { pool: { size: 3 } } })

const FILLER = '0123456789abcdef'.repeat(63)
const MEGABYTES_50 = 50 << 20

/** Whole rows, cut at arbitrary places: what is left of one chunk begins the next. */
function* rows(totalBytes: number, chunkBytes = 60_000): Generator<Buffer> {
  let pending = ''
  let made = 0
  for (let n = 0; made < totalBytes; n += 1) {
    const row = `${n}\t${FILLER}\n`
    made += row.length
    pending += row
    while (pending.length >= chunkBytes) {
      yield Buffer.from(pending.slice(0, chunkBytes))
      pending = pending.slice(chunkBytes)
    }
  }
  if (pending !== '') yield Buffer.from(pending)
}

/** Takes everything and knows its digest. */
class Digest extends Writable {
  readonly #hash = createHash('sha256')
  bytes = 0

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#hash.update(chunk)
    this.bytes += chunk.length
    done()
  }

  get hex(): string {
    return this.#hash.digest('hex')
  }
}

async function isUsable(client: pg.ClientBase): Promise<void> {
  assert.deepEqual((await within(5_000, 'an answer', client.query('SELECT 1 AS one'))).rows, [{ one: 1 }])
}

async function countRows(table: string): Promise<unknown> {
  const [row] = await bed.sql(`SELECT count(*)::int AS n FROM ${table}`)
  return row?.n
}

/** The one backend that copies: what it waits for. */
async function copyWaitsFor(): Promise<unknown> {
  const [row] = await bed.sql(
    `SELECT wait_event FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'COPY%' AND state = 'active'`,
  )
  return row?.wait_event
}

test('50 MB go in and come out again, byte for byte, while others work', async () => {
  const client = await bed.connectPg()
  const others = bed.openPool({ max: 4 })
  await client.query('CREATE UNLOGGED TABLE big (n int, x text)')
  const sent = createHash('sha256')
  let sentBytes = 0
  function* hashed(): Generator<Buffer> {
    for (const chunk of rows(MEGABYTES_50)) {
      sent.update(chunk)
      sentBytes += chunk.length
      yield chunk
    }
  }
  const into = client.query(copyFrom('COPY big FROM STDIN'))
  const copied = pipeline(Readable.from(hashed()), into)
  for (let n = 0; n < 20; n += 1) assert.equal((await others.query('SELECT $1::int AS n', [n])).rows[0].n, n)
  await copied
  assert.ok(sentBytes >= MEGABYTES_50)
  assert.equal(into.rowCount, await countRows('big'))
  const received = new Digest()
  await pipeline(client.query(copyTo('COPY big TO STDOUT')), received)
  assert.equal(received.bytes, sentBytes)
  assert.equal(received.hex, sent.digest('hex'))
  await isUsable(client)
})

test('COPY in that is given up after some megabytes stores nothing, and its client goes on', async () => {
  const client = await bed.connectPg()
  await client.query('CREATE TABLE given_up (n int, x text)')
  for (const message of ['the source has dried up', 'again']) {
    const source = Readable.from(
      (function* () {
        yield* rows(3 << 20)
        throw new Error(message)
      })(),
    )
    const into = client.query(copyFrom('COPY given_up FROM STDIN'))
    await assert.rejects(pipeline(source, into), new RegExp(message))
    await isUsable(client)
    assert.equal(await countRows('given_up'), 0)
  }
})

test('COPY in with a wrong row fails while data is still coming, and its client goes on', async () => {
  const client = await bed.connectPg()
  await client.query('CREATE TABLE picky (n int, x text)')
  const source = Readable.from(
    (function* () {
      yield* rows(1 << 20)
      yield Buffer.from('not a number\tx\n')
      yield* rows(1 << 20)
    })(),
  )
  await assert.rejects(pipeline(source, client.query(copyFrom('COPY picky FROM STDIN'))), {
    code: '22P02',
    where: /^COPY picky, line \d+, column n: "not a number"$/,
  })
  await isUsable(client)
  assert.equal(await countRows('picky'), 0)
})

test('COPY in within a transaction: a savepoint is rolled back, the rest is committed', async () => {
  const client = await bed.connectPg()
  await client.query('CREATE TABLE partly (n int, x text)')
  await client.query('BEGIN')
  await pipeline(Readable.from(['1\tone\n']), client.query(copyFrom('COPY partly FROM STDIN')))
  await client.query('SAVEPOINT here')
  await assert.rejects(pipeline(Readable.from(['wrong\n']), client.query(copyFrom('COPY partly FROM STDIN'))), {
    code: '22P02',
  })
  await client.query('ROLLBACK TO here')
  await pipeline(Readable.from(['2\ttwo\n']), client.query(copyFrom('COPY partly FROM STDIN')))
  await client.query('COMMIT')
  assert.deepEqual((await client.query('SELECT * FROM partly ORDER BY n')).rows, [
    { n: 1, x: 'one' },
    { n: 2, x: 'two' },
  ])
})

test('a client that ends in the middle of COPY in: nothing is stored, and others are served', async () => {
  await bed.sql(`CREATE TABLE left_alone (n int, x text); GRANT ALL ON left_alone TO ${bed.role.user}`)
  for (let n = 0; n < 4; n += 1) {
    const client = await bed.connectPg()
    const into = client.query(copyFrom('COPY left_alone FROM STDIN'))
    into.on('error', () => {})
    await new Promise<void>((resolve) => into.write(Buffer.concat([...rows(1 << 20)]), () => resolve()))
    await client.end()
  }
  await isUsable(await bed.connectPg())
  await waitUntil('all copies to be over', async () => (await copyWaitsFor()) === undefined)
  assert.equal(await countRows('left_alone'), 0)
})

test('a reader that stands still holds the server back, and gets everything when it goes on', async () => {
  const client = await bed.connectPg()
  const text = `COPY (SELECT repeat('x', 1000) FROM generate_series(1, 50000)) TO STDOUT`
  const digest = new Digest()
  const stream = client.query(copyTo(text))
  await waitUntil('the server to be held back', async () => (await copyWaitsFor()) === 'ClientWrite')
  const other = await bed.connectPg()
  await isUsable(other)
  assert.equal(await copyWaitsFor(), 'ClientWrite')
  await pipeline(stream, digest)
  assert.equal(digest.bytes, 50_000 * 1001)
  await isUsable(client)
})

test('a server that stands still holds the writer back, and takes everything when it goes on', async () => {
  const [writer, blocker] = [await bed.connectPg(), await bed.connectPg()]
  await writer.query('CREATE TABLE keyed (n int PRIMARY KEY, x text)')
  await blocker.query('BEGIN')
  await blocker.query('INSERT INTO keyed VALUES (0)')
  let handedOut = 0
  function* counted(): Generator<Buffer> {
    for (const chunk of rows(MEGABYTES_50)) {
      handedOut += chunk.length
      yield chunk
    }
  }
  const into = writer.query(copyFrom('COPY keyed FROM STDIN'))
  const copied = pipeline(Readable.from(counted()), into)
  // The first row has the key of a transaction that is not over.
  await waitUntil('the copy to wait', async () => (await copyWaitsFor()) === 'transactionid')
  let before = -1
  await waitUntil(
    'the writer to stand still',
    () => {
      const stands = handedOut > 0 && handedOut === before
      before = handedOut
      return stands
    },
    { everyMs: 200 },
  )
  assert.ok(handedOut < MEGABYTES_50 / 2, `${handedOut} bytes were taken`)
  await blocker.query('ROLLBACK')
  await copied
  assert.ok(handedOut >= MEGABYTES_50)
  assert.equal(into.rowCount, await countRows('keyed'))
})

test('COPY out that is cancelled from outside is an error of its stream', async () => {
  const client = await bed.connectPg()
  const stream = client.query(copyTo(`COPY (SELECT repeat('x', 1000) FROM generate_series(1, 10000000)) TO STDOUT`))
  const digest = new Digest()
  const failed = assert.rejects(pipeline(stream, digest), { code: '57014' })
  await waitUntil('data to come', () => digest.bytes > 1 << 20)
  await bed.sql(
    `SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'COPY%'`,
  )
  await within(5_000, 'the error', failed)
  await isUsable(client)
})

test('from one client out and into another, in the binary format, more at once than there are server connections', async () => {
  const pool = bed.openPool({ max: 8 })
  await pool.query(
    `CREATE TABLE source AS SELECT i AS n, repeat('x', i % 300) AS x, now() AS at, decode(md5(i::text), 'hex') AS b FROM generate_series(1, 3000) i`,
  )
  await pool.query('CREATE TABLE sink (LIKE source)')
  for (let round = 0; round < 4; round += 1) {
    const [reader, writer] = [await pool.connect(), await pool.connect()]
    await pipeline(
      reader.query(copyTo('COPY source TO STDOUT (FORMAT binary)')),
      new PassThrough(),
      writer.query(copyFrom('COPY sink FROM STDIN (FORMAT binary)')),
    )
    reader.release()
    writer.release()
  }
  const { rows: differences } = await pool.query(
    'SELECT n FROM sink GROUP BY n, x, at, b HAVING count(*) <> 4 UNION ALL (SELECT n FROM source EXCEPT SELECT n FROM sink)',
  )
  assert.deepEqual(differences, [])
  await Promise.all(
    Array.from({ length: 16 }, async (_, who) => {
      const client = await pool.connect()
      if (who % 2 === 0) await pipeline(client.query(copyTo('COPY source TO STDOUT')), new Digest())
      else
        await pipeline(
          Readable.from([`${who}\tmany\t2024-01-01\t\\\\x00\n`]),
          client.query(copyFrom('COPY sink FROM STDIN')),
        )
      client.release()
    }),
  )
  assert.equal((await pool.query(`SELECT count(*)::int AS n FROM sink WHERE x = 'many'`)).rows[0].n, 8)
})
