import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { eq, relations, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import { migrate } from 'drizzle-orm/node-postgres/migrator'
import { bigint, integer, jsonb, numeric, pgTable, serial, text, timestamp } from 'drizzle-orm/pg-core'
import type pg from 'pg'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { isDirect, Testbed } from '../support/testbed.ts'

const bed = await Testbed.open({ settings: { pool: { size: 4 } } })

const users = pgTable('users', {
  id: serial('id').primaryKey(),
  name: text('name').notNull().unique(),
  invitedBy: integer('invited_by'),
})

const posts = pgTable('posts', {
  id: serial('id').primaryKey(),
  authorId: integer('author_id').notNull(),
  body: text('body').notNull(),
  views: bigint('views', { mode: 'bigint' }).notNull().default(0n),
  price: numeric('price', { precision: 40, scale: 10 }),
  details: jsonb('details').$type<{ tags: string[] }>(),
  at: timestamp('at', { withTimezone: true }).notNull().defaultNow(),
})

const schema = {
  users,
  posts,
  usersRelations: relations(users, ({ one, many }) => ({
    inviter: one(users, { fields: [users.invitedBy], references: [users.id] }),
    posts: many(posts),
  })),
  postsRelations: relations(posts, ({ one }) => ({
    author: one(users, { fields: [posts.authorId], references: [users.id] }),
  })),
}

/** Migrations as `drizzle-kit generate` writes them. */
const MIGRATIONS = [
  {
    tag: '0000_users',
    sql: 'CREATE TABLE "users" ("id" serial PRIMARY KEY, "name" text NOT NULL UNIQUE, "invited_by" integer);',
  },
  {
    tag: '0001_posts',
    sql: `CREATE TABLE "posts" ("id" serial PRIMARY KEY, "author_id" integer NOT NULL, "body" text NOT NULL,
            "views" bigint DEFAULT 0 NOT NULL, "price" numeric(40, 10), "details" jsonb, "at" timestamptz DEFAULT now() NOT NULL);
--> statement-breakpoint
DO $$ BEGIN
  ALTER TABLE "posts" ADD CONSTRAINT "posts_author" FOREIGN KEY ("author_id") REFERENCES "users" ("id");
EXCEPTION WHEN duplicate_object THEN NULL;
END $$;
--> statement-breakpoint
CREATE INDEX "by_author" ON "posts" ("author_id");`,
  },
] as const

function migrationsFolder(migrations: readonly { readonly tag: string; readonly sql: string }[]): string {
  const folder = temporaryDirectory()
  mkdirSync(join(folder, 'meta'))
  const entries = migrations.map(({ tag, sql: text }, idx) => {
    writeFileSync(join(folder, `${tag}.sql`), text)
    return { idx, version: '7', when: 1_700_000_000_000 + idx, tag, breakpoints: true }
  })
  writeFileSync(join(folder, 'meta', '_journal.json'), JSON.stringify({ version: '7', dialect: 'postgresql', entries }))
  return folder
}

function connect(options: pg.PoolConfig = {}) {
  return drizzle(bed.openPool({ max: 12, ...options }), { schema })
}

async function migrated() {
  const db = connect()
  await migrate(db, { migrationsFolder: migrationsFolder(MIGRATIONS) })
  await db.execute(sql`TRUNCATE users, posts RESTART IDENTITY`)
  return db
}

test('migrations run once each, a new one behind them later, a broken one not at all', async () => {
  const db = connect()
  await migrate(db, { migrationsFolder: migrationsFolder(MIGRATIONS.slice(0, 1)) })
  const broken = [
    ...MIGRATIONS,
    { tag: '0002_broken', sql: 'CREATE TABLE half (n int);\n--> statement-breakpoint\nSELECT 1/0;' },
  ]
  await assert.rejects(migrate(db, { migrationsFolder: migrationsFolder(broken) }), (error: Error) => {
    assert.equal((error.cause as pg.DatabaseError).code, '22012')
    return true
  })
  assert.deepEqual(await bed.sql(`SELECT to_regclass('half') AS half, to_regclass('posts') AS posts`), [
    { half: null, posts: null },
  ])
  for (let round = 0; round < 3; round += 1)
    await migrate(connect(), { migrationsFolder: migrationsFolder(MIGRATIONS) })
  const [row] = await bed.sql('SELECT count(*)::int AS n FROM drizzle.__drizzle_migrations')
  assert.equal(row?.n, 2)
})

test('relations of relations, from many clients at once', async () => {
  const db = await migrated()
  const [root] = await db.insert(users).values({ name: 'root' }).returning()
  const made = await db
    .insert(users)
    .values(Array.from({ length: 6 }, (_, n) => ({ name: `user ${n}`, invitedBy: root?.id ?? 0 })))
    .returning()
  await db
    .insert(posts)
    .values(made.flatMap(({ id, name }) => [1, 2].map((n) => ({ authorId: id, body: `${name}'s "post" ${n}` }))))
  await Promise.all(
    Array.from({ length: 40 }, async (_, n) => {
      const name = `user ${n % 6}`
      const found = await db.query.users.findFirst({
        where: eq(users.name, name),
        columns: { name: true },
        with: {
          inviter: { columns: { name: true }, with: { posts: true } },
          posts: { columns: { body: true }, with: { author: { columns: { name: true } } }, orderBy: posts.id },
        },
      })
      assert.deepEqual(found, {
        name,
        inviter: { name: 'root', posts: [] },
        posts: [1, 2].map((post) => ({ body: `${name}'s "post" ${post}`, author: { name } })),
      })
    }),
  )
})

test('values come back as they went in', async () => {
  const db = await migrated()
  await db.insert(users).values({ name: '' })
  const values = {
    authorId: 1,
    body: `'" \\ $1 -- /* */ ; \r\n\t\u0001 👩‍👩‍👧`,
    views: 9223372036854775807n,
    price: '123456789012345678901234567890.0123456789',
    details: { tags: ['a"b', "c'd", '\\', 'ü'] },
    at: new Date('2024-02-29T23:59:59.999Z'),
  }
  const [post] = await db.insert(posts).values(values).returning()
  assert.deepEqual(post, { id: 1, ...values })
  assert.deepEqual(await db.select().from(posts), [post])
})

test('prepared statements with placeholders, on more clients than server connections', async () => {
  const db = await migrated()
  await db.insert(users).values(Array.from({ length: 20 }, (_, n) => ({ name: `user ${n}` })))
  const byName = db
    .select({ id: users.id })
    .from(users)
    .where(eq(users.name, sql.placeholder('name')))
    .prepare('by name')
  const found = await Promise.all(Array.from({ length: 100 }, (_, n) => byName.execute({ name: `user ${n % 20}` })))
  assert.deepEqual(
    found,
    Array.from({ length: 100 }, (_, n) => [{ id: (n % 20) + 1 }]),
  )
})

test('transactions within transactions: the inner one is undone alone', async () => {
  const db = await migrated()
  await Promise.all(
    Array.from({ length: 24 }, (_, n) =>
      db
        .transaction(
          async (outer) => {
            await outer.insert(users).values({ name: `outer ${n}` })
            await outer.transaction(async (inner) => {
              await inner.insert(users).values({ name: `inner ${n}` })
              await assert.rejects(
                inner.transaction(async (innermost) => {
                  await innermost.insert(users).values({ name: `innermost ${n}` })
                  innermost.rollback()
                }),
                /Rollback/,
              )
              await assert.rejects(
                inner.transaction((innermost) => innermost.insert(users).values({ name: `outer ${n}` })),
                (error: Error) => (error.cause as pg.DatabaseError).code === '23505',
              )
            })
            if (n % 4 === 0) outer.rollback()
          },
          { isolationLevel: 'repeatable read', accessMode: 'read write' },
        )
        .catch((error: unknown) => assert.match(String(error), /Rollback/)),
    ),
  )
  const names = (await db.select({ name: users.name }).from(users)).map(({ name }) => name)
  const kept = Array.from({ length: 24 }, (_, n) => n).filter((n) => n % 4 !== 0)
  assert.deepEqual(names.sort(), kept.flatMap((n) => [`inner ${n}`, `outer ${n}`]).sort())
})

test('its ordinary queries pin nothing', { skip: isDirect && 'of the router' }, async () => {
  await migrated()
  const db = connect({ application_name: 'ordinary' })
  await Promise.all(
    Array.from({ length: 30 }, (_, n) =>
      db.transaction(async (transaction) => {
        await transaction
          .insert(users)
          .values({ name: `user ${n}` })
          .onConflictDoNothing()
          .returning()
        await transaction.query.users.findMany({ with: { posts: true } })
        await transaction.$count(users)
      }),
    ),
  )
  const clients = (await bed.show('CLIENTS')).filter((row) => row.application_name === 'ordinary')
  assert.ok(clients.length > 4)
  assert.deepEqual(
    clients.filter(({ pinned }) => pinned !== ''),
    [],
  )
})
