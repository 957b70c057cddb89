import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pinReasons } from '../memory/client-slots.ts'
import { PostgresParser } from './postgres-parser.ts'
import { INTENT } from './statement-intent.ts'
import { type TreeFacts, treeFacts } from './tree-facts.ts'

const parser = await PostgresParser.load()

function factsOf(sql: string): TreeFacts {
  const parsed = parser.parse(sql)
  assert.equal(parsed.kind, 'parsed', sql)
  return treeFacts(parsed.kind === 'parsed' ? parsed.tree : {})
}

const callsOf = (sql: string): string =>
  factsOf(sql)
    .calls.map(({ schema, name }) => (schema === null ? name : `${schema}.${name}`))
    .sort()
    .join(' ')

const pinsOf = (sql: string): string => pinReasons(factsOf(sql).pins).join(' ')

const intents = (intent: number, statements: readonly string[]): void => {
  for (const sql of statements) assert.equal(factsOf(sql).intent, intent, sql)
}

test('functions that are not built in are named, with their schema where it is given, and once', () => {
  assert.equal(callsOf('select f(g(1)), f(2), s.f(3), "F"(4), lower(5), pg_catalog.lower(6)'), 'F f g s.f')
  assert.equal(callsOf('select s.lower(1), pg_catalog.nosuch(2)'), 'pg_catalog.nosuch s.lower')
  assert.equal(callsOf("select extract(year from a), trim(b), a at time zone 'x', cast(a as numeric(3, 1))"), '')
  assert.equal(callsOf('call p(1); call s.p(f(2))'), 'f p s.p')
  assert.equal(callsOf('create table t (a int default f(1), check (g(a)))'), 'f g')
})

test('built-in functions say themselves what they leave behind, by whatever name they are called', () => {
  assert.equal(pinsOf('select pg_advisory_lock(1)'), 'advisoryLock')
  assert.equal(pinsOf('select "nextval"(\'s\')'), 'sequence')
  assert.equal(pinsOf("select pg_catalog.set_config('a.b', 'c', false)"), 'setting')
  assert.equal(pinsOf("select set_config('a.b', 'c', true)"), '')
  assert.equal(pinsOf("select set_config('a.b', 'c', $1)"), 'setting')
  assert.equal(factsOf("select set_config('a.b', 'c', false), set_config('d', 'e', true)").settingCalls, 2)
  assert.equal(pinsOf('select s.nextval(1)'), '')
})

test('settings are made through their view, too', () => {
  assert.equal(pinsOf("update pg_catalog.pg_settings set setting = '5MB' where name = 'work_mem'"), 'setting')
  assert.equal(pinsOf("update t set a = (select setting from pg_settings where name = 'x')"), '')
})

test('temporary objects are found by what makes them temporary, not by a word', () => {
  for (const sql of ['create temp table t (a int)', 'select 1 into temp t', 'create temp view v as select 1']) {
    assert.equal(pinsOf(sql), 'temporaryObject', sql)
  }
  assert.equal(pinsOf('create table pg_temp.t (a int); drop function "pg_temp".f()'), 'temporaryObject')
  assert.equal(pinsOf('create table t (temporary int, temp text)'), '')
  assert.equal(pinsOf("select temp, 'pg_temp' from temporary"), '')
})

test('cursors, statements and the like', () => {
  assert.equal(pinsOf('declare c cursor with hold for select 1'), 'holdCursor')
  assert.equal(pinsOf('declare c cursor for select 1'), '')
  assert.equal(pinsOf('listen x'), 'listen')
  assert.equal(pinsOf("load 'x'"), 'load')
  assert.equal(pinsOf('prepare p as select 1'), 'sqlPrepare')
  assert.equal(pinsOf("do 'begin end'"), 'unknownFunction')
  assert.equal(pinsOf('set seed to 0.5'), 'randomSeed')
})

test('what only reads', () => {
  intents(INTENT.read, [
    'select lower(a) from t where b in (select 1) order by random()',
    'values (1)',
    'table t',
    'with a as (select 1) select * from a',
    'show work_mem',
    'explain select 1',
    'explain (analyze) select 1',
    'copy t to stdout',
    'copy (select 1) to stdout',
    'declare c cursor for select 1',
    'fetch 1 from c',
    'begin read only; select 1; commit',
  ])
})

test('what writes, locks, or must not run on a copy of the data', () => {
  intents(INTENT.write, [
    'insert into t values (1)',
    'update t set a = 1',
    'delete from t',
    'merge into t using u on true when matched then delete',
    'with a as (insert into t values (1) returning *) select * from a',
    'select 1 from t for update',
    'select 1 from (select 1 from t for share) u',
    'select 1 into t',
    'create table t as select 1',
    'explain analyze delete from t',
    'explain create table t as select 1',
    'copy t from stdin',
    "copy t to '/file'",
    "copy t to program 'x'",
    'copy (delete from t returning a) to stdout',
    'call p()',
    "do 'begin end'",
    'lock table t',
    'listen x',
    'notify x',
    'vacuum',
    'truncate t',
    'declare c cursor for select 1 from t for update',
    "select nextval('s')",
    'select pg_advisory_lock(1)',
    'select pg_advisory_unlock_all()',
    'select pg_advisory_xact_lock(1)',
    "select pg_notify('a', 'b')",
    'select txid_current()',
    'select pg_is_in_recovery()',
    'select pg_stat_get_numscans(1)',
    "prepare transaction 'x'",
    "commit prepared 'x'",
    'execute p',
    'select 1; insert into t values (1); select 2',
  ])
})

test('what runs wherever the session is', () => {
  intents(INTENT.none, ['begin', 'commit', 'rollback to a', 'set x to 1', 'reset all', 'discard all', 'close c'])
})

test('definitions are told from everything else, and plain statements from utilities', () => {
  for (const sql of ['create function f() returns int language sql as $$ select 1 $$', 'drop view v', "do 'x'"]) {
    assert.equal(factsOf(sql).defines, true, sql)
  }
  for (const sql of ['select 1', 'insert into t values (1)', 'begin', 'vacuum']) {
    assert.equal(factsOf(sql).defines, false, sql)
  }
  assert.equal(factsOf('select 1; insert into t values (2)').isPlain, true)
  for (const sql of ['select 1; set x to 1', 'select 1 into t', 'copy t to stdout']) {
    assert.equal(factsOf(sql).isPlain, false, sql)
  }
})

test('a tree is walked however deep it is', () => {
  assert.equal(callsOf(`select ${'f('.repeat(2000)}${')'.repeat(2000)}`), 'f')
})

test('relations are named wherever they stand, and definitions run nothing', () => {
  const relations = (sql: string): string =>
    factsOf(sql)
      .relations.map(({ schema, name }) => (schema === null ? name : `${schema}.${name}`))
      .sort()
      .join(' ')
  assert.equal(relations('with a as (delete from s.t) select * from "U", (select 1 from v) x, v'), 'U s.t v')
  assert.equal(relations('copy t from stdin; truncate u, v'), 't u v')
  assert.equal(relations("select 't', t from f()"), '')
  for (const sql of ['select 1', 'vacuum t', 'create view v as select 1; table v', 'create table t as select 1']) {
    assert.equal(factsOf(sql).runs, true, sql)
  }
  for (const sql of ['create view v as select 1', 'begin; alter table t rename to u; commit', 'set x to 1']) {
    assert.equal(factsOf(sql).runs, false, sql)
  }
})
