import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type DatabaseRelations, NO_RELATIONS } from '../shard/database-functions.ts'
import { PostgresParser } from './postgres-parser.ts'
import { SecondOpinion } from './second-opinion.ts'
import { WatchedRelations } from './watched-relations.ts'

const opinion = new SecondOpinion(await PostgresParser.load(), () => 0)

const areIn = (relations: Partial<DatabaseRelations>, sql: string, by: SecondOpinion | null = opinion): boolean => {
  const bytes = Buffer.from(`x${sql}x`)
  return new WatchedRelations({ ...NO_RELATIONS, ...relations }).areIn(bytes, 1, bytes.length - 1, by)
}

const WATCHED: Partial<DatabaseRelations> = {
  read: [
    ['shop', 'seen'],
    ['shop', 'Odd "name"'],
  ],
  written: [['shop', 'stock']],
}

test('every way to use a relation that leads somewhere is found', () => {
  for (const sql of [
    'SELECT * FROM seen',
    'select 1 from SHOP . "seen" as x',
    'TABLE seen',
    'WITH a AS (SELECT 1) SELECT * FROM a, (SELECT * FROM seen) b',
    'SELECT 1 WHERE EXISTS (SELECT FROM only seen)',
    'SELECT * FROM "Odd ""name"""',
    'EXPLAIN ANALYZE SELECT * FROM seen',
    'DECLARE c CURSOR FOR SELECT * FROM seen',
    'COPY (SELECT * FROM seen) TO STDOUT',
    'COPY seen TO STDOUT',
    'COPY stock FROM STDIN',
    'INSERT INTO stock VALUES (1)',
    'insert into /* at */ "stock" values (1)',
    'UPDATE shop.stock SET a = 1',
    'DELETE FROM ONLY stock',
    'TRUNCATE other, stock CASCADE',
    'MERGE INTO stock USING x ON a = b WHEN MATCHED THEN DELETE',
    'WITH x AS (DELETE FROM stock RETURNING *) SELECT * FROM x',
    'ALTER TABLE stock ADD COLUMN b int DEFAULT 1',
    'REFRESH MATERIALIZED VIEW seen',
    'CREATE TABLE x AS SELECT * FROM seen',
    'SELECT 1; INSERT INTO stock VALUES (1)',
    'PREPARE p AS INSERT INTO stock VALUES (1)',
  ]) {
    assert.equal(areIn(WATCHED, sql), true, sql)
  }
})

test('others are not taken for them', () => {
  for (const sql of [
    'SELECT * FROM stock',
    'SELECT seen FROM other',
    "SELECT 'seen', $$stock$$ -- seen",
    'SELECT * FROM "SEEN"',
    'SELECT * FROM elsewhere.seen',
    'INSERT INTO elsewhere.stock VALUES (1)',
    'INSERT INTO other (stock, seen) VALUES (1, 2)',
    'BEGIN',
    '',
  ]) {
    assert.equal(areIn(WATCHED, sql), false, sql)
  }
})

test('what cannot be decided is one of them', () => {
  for (const sql of [
    'EXECUTE p',
    'EXPLAIN ANALYZE EXECUTE p',
    "SELECT table_to_xml('seen', true, true, '')",
    'SELECT * FROM U&"s\\0065en"',
    String.raw`SELECT 'a\', 1 FROM other`,
    'SELECT * FROM seen WHERE this is no SQL',
  ]) {
    assert.equal(areIn(WATCHED, sql), true, sql)
  }
  assert.equal(areIn(WATCHED, 'SELECT seen FROM other', null), true, 'there is no parser')
})

test('a name is compared as the server would cut it', () => {
  const name = 'n'.repeat(63)
  assert.equal(areIn({ read: [['shop', name]] }, `SELECT * FROM ${name}ever`), true)
  assert.equal(areIn({ read: [['shop', name]] }, `SELECT * FROM ${name.slice(1)}`), false)
})

test('letters that depend on the encoding are in doubt', () => {
  assert.equal(areIn({ read: [['shop', 'größe']] }, 'SELECT 1 AS "höhe"'), true)
  assert.equal(areIn({ read: [['shop', 'größe']] }, 'SELECT 1 AS a'), false)
  assert.equal(areIn(WATCHED, 'SELECT 1 AS "höhe"'), false)
})

test('everything, and every definition', () => {
  assert.equal(areIn({ everything: true }, 'SELECT 1'), true)
  assert.equal(areIn({ everything: true }, 'COMMIT'), false)
  for (const sql of ['CREATE TABLE a (b int)', 'drop table a', 'GRANT ALL ON a TO b', 'SELECT 1 INTO a'])
    assert.equal(areIn({ definitions: true }, sql), true, sql)
  for (const sql of ['INSERT INTO a VALUES (1)', 'SELECT "create", comment FROM a'])
    assert.equal(areIn({ definitions: true }, sql), false, sql)
})

test('what another list has that this one has not', () => {
  const watched = new WatchedRelations({ ...NO_RELATIONS, ...WATCHED })
  const lacks = (other: Partial<DatabaseRelations>): boolean => watched.lacksAnyOf({ ...NO_RELATIONS, ...other })
  assert.equal(lacks(WATCHED), false)
  assert.equal(lacks({}), false)
  assert.equal(lacks({ written: [['shop', 'seen']] }), false)
  assert.equal(lacks({ read: [['shop', 'stock']] }), true)
  assert.equal(lacks({ written: [['other', 'stock']] }), true)
  assert.equal(lacks({ everything: true }), true)
  assert.equal(lacks({ definitions: true }), true)
})
