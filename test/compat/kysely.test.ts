import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Generated, Kysely, PostgresDialect, sql } from 'kysely'
import { jsonArrayFrom, jsonObjectFrom } from 'kysely/helpers/postgres'
import { type Migration, Migrator } from 'kysely/migration'
import pg from 'pg'
import Cursor from 'pg-cursor'
import { isDirect, Testbed } from '../support/testbed.ts'
import { waitUntil, within } from '../support/wait-until.ts'

const bed = await Testbed.open({ settings: { pool: { size: 4 } } })

interface Database {
  authors: { id: Generated<number>; name: string }
  books: { id: Generated<number>; author_id: number; title: string; pages: number }
}

/** Kysely on a pool of its own. */
function connect(options: pg.PoolConfig = {}): Kysely<Database> {
  const pool = new pg.Pool({ ...bed.address, ...bed.role, database: bed.database, max: 12, ...options })
  pool.on('error', () => {})
  const dialect = new PostgresDialect({ pool, cursor: Cursor })
  return bed.onClose(new Kysely<Database>({ dialect }), (db) => db.destroy())
}

const migrations: Record<string, Migration> = {
  '1 authors': {
    async up(db) {
      await db.schema
        .createTable('authors')
        .addColumn('id', 'serial', (column) => column.primaryKey())
        .addColumn('name', 'text', (column) => column.notNull().unique())
        .execute()
    },
    async down(db) {
      await db.schema.dropTable('authors').execute()
    },
  },
  '2 books': {
    async up(db) {
      await db.schema
        .createTable('books')
        .addColumn('id', 'serial', (column) => column.primaryKey())
        .addColumn('author_id', 'integer', (column) => column.notNull().references('authors.id').onDelete('cascade'))
        .addColumn('title', 'text', (column) => column.notNull())
        .addColumn('pages', 'integer', (column) => column.notNull())
        .execute()
      await db.schema.createIndex('books_by_author').on('books').column('author_id').execute()
    },
    async down(db) {
      await db.schema.dropTable('books').execute()
    },
  },
}

function migratorFor(db: Kysely<Database>, given = migrations): Migrator {
  return new Migrator({ db, provider: { getMigrations: async () => given } })
}

async function migrated(db: Kysely<Database>): Promise<Kysely<Database>> {
  const { error } = await migratorFor(db).migrateToLatest()
  assert.equal(error, undefined)
  await sql`TRUNCATE authors, books RESTART IDENTITY`.execute(db)
  return db
}

async function tables(): Promise<unknown[]> {
  const rows = await bed.sql(`SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1`)
  return rows.map(({ tablename }) => tablename).filter((name) => !String(name).startsWith('kysely_'))
}

test('two migrators at once, up and down: each migration runs once, in order', async () => {
  const migrators = [migratorFor(connect({ max: 2 })), migratorFor(connect({ max: 2 }))]
  for (let round = 0; round < 3; round += 1) {
    const up = await Promise.all(migrators.map((migrator) => migrator.migrateToLatest()))
    for (const { error } of up) assert.equal(error, undefined)
    assert.deepEqual(
      up.flatMap(({ results }) => results ?? []).map(({ migrationName }) => migrationName),
      ['1 authors', '2 books'],
    )
    assert.deepEqual(await tables(), ['authors', 'books'])
    const down = await Promise.all(migrators.map((migrator) => migrator.migrateDown()))
    for (const { error } of down) assert.equal(error, undefined)
    assert.deepEqual(
      down
        .flatMap(({ results }) => results ?? [])
        .map(({ migrationName }) => migrationName)
        .sort(),
      ['1 authors', '2 books'],
    )
    assert.deepEqual(await tables(), [])
  }
})

test('a migration that fails is rolled back with all before it, and the next attempt finds no lock', async () => {
  const db = connect({ max: 2 })
  const broken: Record<string, Migration> = {
    ...migrations,
    '3 broken': {
      async up(trx) {
        await sql`CREATE TABLE half (n int)`.execute(trx)
        await sql`SELECT 1/0`.execute(trx)
      },
    },
  }
  for (let round = 0; round < 2; round += 1) {
    const { error, results } = await migratorFor(db, broken).migrateToLatest()
    assert.equal((error as pg.DatabaseError).code, '22012')
    assert.deepEqual(
      results?.map(({ status }) => status),
      ['Success', 'Success', 'Error'],
    )
    assert.deepEqual(await tables(), [])
  }
  const { error } = await within(5_000, 'another migrator', migratorFor(connect({ max: 2 })).migrateToLatest())
  assert.equal(error, undefined)
  assert.deepEqual(await tables(), ['authors', 'books'])
})

test('its ordinary queries pin nothing', { skip: isDirect && 'of the router' }, async () => {
  const db = await migrated(connect())
  const pool = connect()
  await Promise.all(
    Array.from({ length: 20 }, (_, n) =>
      pool
        .insertInto('authors')
        .values({ name: `author ${n}` })
        .returning('id')
        .execute(),
    ),
  )
  await pool.introspection.getTables()
  await pool.transaction().execute((trx) => trx.selectFrom('authors').selectAll().execute())
  // The one that migrated has had a session lock, which the router finds gone.
  await waitUntil('nobody to be pinned', async () => {
    const clients = await bed.show('CLIENTS')
    return clients.every((row) => row.database !== bed.database || row.pinned === '')
  })
  await db.destroy()
})

test('relations as JSON, joins and aggregates, from many clients at once', async () => {
  const db = await migrated(connect())
  const authors = await db
    .insertInto('authors')
    .values(Array.from({ length: 5 }, (_, n) => ({ name: `author ${n}` })))
    .returning(['id', 'name'])
    .execute()
  await db
    .insertInto('books')
    .values(
      authors.flatMap(({ id }) =>
        [1, 2, 3].map((n) => ({ author_id: id, title: `${id}'s "book" ${n}`, pages: 100 * n })),
      ),
    )
    .execute()
  await Promise.all(
    Array.from({ length: 40 }, async (_, n) => {
      const author = authors[n % 5]!
      const found = await db
        .selectFrom('authors')
        .select((eb) => [
          'authors.name',
          jsonArrayFrom(
            eb
              .selectFrom('books')
              .select(['title', 'pages'])
              .whereRef('books.author_id', '=', 'authors.id')
              .orderBy('pages'),
          ).as('books'),
          jsonObjectFrom(
            eb
              .selectFrom('books')
              .select((inner) => inner.fn.sum<number>('pages').as('pages'))
              .whereRef('books.author_id', '=', 'authors.id'),
          ).as('total'),
        ])
        .where('authors.id', '=', author.id)
        .executeTakeFirstOrThrow()
      assert.deepEqual(found, {
        name: author.name,
        books: [1, 2, 3].map((number) => ({ title: `${author.id}'s "book" ${number}`, pages: 100 * number })),
        total: { pages: 600 },
      })
    }),
  )
})

test('more transactions than server connections, with savepoints that are rolled back', async () => {
  const db = await migrated(connect())
  await Promise.all(
    Array.from({ length: 24 }, async (_, n) => {
      const trx = await db.startTransaction().setIsolationLevel('repeatable read').execute()
      try {
        await trx
          .insertInto('authors')
          .values({ name: `kept ${n}` })
          .execute()
        const outer = await trx.savepoint('outer').execute()
        await outer
          .insertInto('authors')
          .values({ name: `undone ${n}` })
          .execute()
        const inner = await outer.savepoint('inner').execute()
        await assert.rejects(
          inner
            .insertInto('authors')
            .values({ name: `kept ${n}` })
            .execute(),
          { code: '23505' },
        )
        await inner.rollbackToSavepoint('inner').execute()
        await outer.rollbackToSavepoint('outer').execute()
      } finally {
        await (n % 3 === 0 ? trx.rollback() : trx.commit()).execute()
      }
    }),
  )
  const rows = await db.selectFrom('authors').select('name').execute()
  assert.deepEqual(
    rows.map(({ name }) => name).sort(),
    Array.from({ length: 24 }, (_, n) => n)
      .filter((n) => n % 3 !== 0)
      .map((n) => `kept ${n}`)
      .sort(),
  )
})

test('a transaction whose function fails is rolled back, with the error of the database', async () => {
  const db = await migrated(connect())
  const attempt = db.transaction().execute(async (trx) => {
    await trx.insertInto('authors').values({ name: 'nobody' }).execute()
    await trx.insertInto('books').values({ author_id: 12345, title: 'orphan', pages: 1 }).execute()
  })
  await assert.rejects(attempt, { code: '23503', table: 'books', constraint: 'books_author_id_fkey' })
  assert.deepEqual(await db.selectFrom('authors').selectAll().execute(), [])
})

test('rows are streamed through cursors, and a stream may be given up', async () => {
  const db = await migrated(connect())
  await sql`INSERT INTO authors (name) SELECT 'streamed ' || i FROM generate_series(1, 2000) i`.execute(db)
  await Promise.all(
    [1, 10, 100, 100, 1000, 1000].map(async (size) => {
      let seen = 0
      for await (const row of db.selectFrom('authors').selectAll().orderBy('id').stream(size)) {
        seen += 1
        assert.equal(row.name, `streamed ${row.id}`)
        if (size === 1 && seen === 50) break
      }
      assert.equal(seen, size === 1 ? 50 : 2000)
    }),
  )
})

test('a query that is aborted is cancelled on the server', async () => {
  const db = connect()
  const controller = new AbortController()
  const query = sql`SELECT pg_sleep(60)`.execute(db, {
    signal: controller.signal,
    inflightQueryAbortStrategy: 'cancel query',
  })
  const aborted = assert.rejects(query)
  const running = async () =>
    (await bed.cluster.backends(bed.database)).some(
      ({ state, query: text }) => state === 'active' && text === 'SELECT pg_sleep(60)',
    )
  await waitUntil('the query to run', running)
  controller.abort()
  await within(5_000, 'the abort', aborted)
  await waitUntil('the query to end', async () => !(await running()))
})
