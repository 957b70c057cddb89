import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FACT } from './statement-effects.ts'
import { assertPins, flagsOf, pinsOf, read } from './statement-facts.fixture.ts'
import { StatementFacts } from './statement-facts.ts'
import { INTENT } from './statement-intent.ts'

test('a cursor pins only when it outlives its transaction', () => {
  assertPins('', [
    'declare c cursor for select 1',
    'declare "named" cursor without hold for select 1',
    'declare c no scroll cursor without hold for select a, b from t',
  ])
  assertPins('holdCursor', [
    'declare c cursor with hold for select 1',
    'declare c scroll cursor with /* x */ hold for table t',
  ])
})

test('settings that are made through their view pin, those that are read there do not', () => {
  assertPins('', ["select setting from pg_settings where name = 'work_mem'", 'select 1 from pg_catalog."pg_settings"'])
  assertPins('setting', [
    "update pg_settings set setting = '5MB' where name = 'work_mem'",
    "update only pg_catalog . pg_settings set setting = '5MB'",
    'with x as (update "pg_settings" set setting = \'on\' returning 1) select * from x',
    "select 1; update pg_settings s set setting = 'x'",
  ])
})

test('temporary objects pin, however they come to be', () => {
  assertPins('temporaryObject', [
    'create temp table t (a int)',
    'create temporary table t (a int) on commit drop',
    'create local temp table t (a int)',
    'create global temporary table t (a int)',
    'create temp table if not exists t as select 1',
    'create table pg_temp.t (a int)',
    'create table pg_temp . t (a int)',
    'create table "pg_temp".t (a int)',
    'create table if not exists pg_temp.t (a int)',
    'create temp view v as select 1',
    'create or replace temp view v (a) as select 1',
    'create temp recursive view v (n) as select 1',
    'create temp sequence s',
    "create function pg_temp.f() returns int language sql as 'select 1'",
    'create type pg_temp.x as enum ()',
    'select * into temp t from u',
    'select a into temporary table t from u',
    'with x as (select 1) select * into temp t from x',
    'explain analyze create temp table t as select 1',
    'alter table t set schema pg_temp',
    'set search_path to pg_temp',
    'set search_path = public, "pg_temp"',
    "set search_path = 'pg_temp'",
    "set schema 'pg_temp'",
    'set local search_path to pg_temp',
    'set session search_path to pg_temp',
  ])
})

test('a word like temp in a string, a comment or a longer name pins nothing', () => {
  assertPins('', [
    "select 'create temp table t (a int)'",
    'select 1 /* temp */ -- temp\n',
    'select temperature from temp_readings',
    'select $$temp$$, $x$pg_temp$x$',
    "set application_name to 'temp'",
    'select "temp" from t',
  ])
})

test('session-wide advisory locks pin, those of the transaction do not', () => {
  assertPins('advisoryLock', [
    'select pg_advisory_lock(1)',
    'select pg_advisory_lock_shared(1, 2)',
    'select pg_try_advisory_lock($1)',
    'select pg_catalog.pg_try_advisory_lock_shared(1)',
    'select 1 from t where pg_try_advisory_lock(a)',
    'with x as (select pg_advisory_lock(1)) select * from x',
    'copy (select pg_advisory_lock(1)) to stdout',
    'explain analyze select pg_advisory_lock(1)',
  ])
  assertPins('', [
    'select pg_advisory_xact_lock(1)',
    'select pg_try_advisory_xact_lock_shared(1)',
    'select pg_advisory_unlock(1)',
  ])
})

test('LISTEN, LOAD and PREPARE pin; PREPARE TRANSACTION ends a transaction', () => {
  assertPins('listen', ['listen x', 'listen "X y"'])
  assertPins('load', ["load 'auto_explain'"])
  assertPins('sqlPrepare', [
    'prepare p as select 1',
    'prepare p (int) as select $1',
    'prepare transaction as select 1',
    'prepare transaction (int) as select 1',
  ])
  assertPins('', ["prepare transaction 'x'", 'deallocate p', 'discard all', 'discard temp'])
})

test('what cannot be decided pins', () => {
  assertPins('undecidedStatement', ["select 'a\\''", 'select U&"a" from t', 'select 1and 2'])
  for (const sql of ["select '", 'select "a', 'select $$a', 'select /* a', "select E'a\\'"]) {
    assert.equal(pinsOf(sql), 'undecidedStatement', sql)
  }
  assert.equal(pinsOf('select a operator(; listen x'), 'undecidedStatement')
  assert.equal(pinsOf('select operator from t; listen x'), 'listen', 'a column may be called operator')
})

test('several reasons add up', () => {
  assert.equal(
    pinsOf("create temp table t as select pg_advisory_lock(1), f(2), nextval('s'); listen x"),
    'temporaryObject advisoryLock listen sequence unknownFunction',
  )
})

test('transaction control is told apart', () => {
  const table: readonly [string, string][] = [
    ['begin', 'begins'],
    ['BEGIN ISOLATION LEVEL SERIALIZABLE', 'begins'],
    ['start transaction read only', 'begins'],
    ['commit', 'commits'],
    ['end', 'commits'],
    ['commit and chain', 'commits'],
    ['rollback', 'rollsBack undoes'],
    ['abort', 'rollsBack undoes'],
    ['rollback work', 'rollsBack undoes'],
    ['rollback to a', 'undoes'],
    ['rollback to savepoint "a"', 'undoes'],
    ['rollback transaction to a', 'undoes'],
    ['abort and no chain', 'rollsBack undoes'],
    ['end transaction and chain', 'commits'],
    ['rollback transaction and chain', 'rollsBack undoes'],
    ['abort work to to', 'undoes'],
    ['rollback /* so far */ to -- here\n prepared', 'undoes'],
    ["commit prepared 'a'", ''],
    ["ROLLBACK PREPARED 'a'", ''],
    ["prepare transaction 'a'", 'preparesTransaction'],
    ["commit prepared 'a'; commit", 'commits several'],
    ['rollback; begin', 'begins rollsBack several undoes'],
    ['begin; commit', 'begins commits several'],
    ['savepoint begin', ''],
    ["select 'commit'", ''],
    ['select 1', ''],
    ['select 1;', ''],
    [';; select 1 ;;', ''],
    ['select 1; select 2', 'several'],
    ['', ''],
    [' -- nothing\n ;', ''],
  ]
  for (const [sql, flags] of table) assert.equal(flagsOf(sql), flags, sql)
})

test('what discards and deallocates is told apart', () => {
  const table: readonly [string, string][] = [
    ['discard all', 'discardsAll frees'],
    ['DISCARD ALL', 'discardsAll frees'],
    ['discard plans', 'frees'],
    ['discard sequences', 'frees discardsSequences'],
    ['discard temp', 'frees'],
    ['deallocate all', 'deallocatesAll frees'],
    ['deallocate prepare all', 'deallocatesAll frees'],
    ['deallocate p', 'deallocates frees'],
    ['deallocate prepare p', 'deallocates frees'],
    ['deallocate "all"', 'deallocates frees'],
    ['execute p', 'executes'],
    ['drop table t', 'frees'],
    ['alter table t drop column a', ''],
    ['close c', 'frees'],
    ['unlisten *', 'frees unlistens'],
    ['select pg_advisory_unlock(1)', 'frees'],
    ['select pg_advisory_unlock_all() from t', 'frees'],
    ['select 1; discard all', 'several discardsAll frees'],
  ]
  for (const [sql, flags] of table) assert.equal(flagsOf(sql), flags, sql)
})

test('the name in EXECUTE and DEALLOCATE is where the text says', () => {
  const table: readonly [string, string][] = [
    ['execute p', 'p'],
    ['execute "P q" (1)', '"P q"'],
    [' EXECUTE/**/p(1)', 'p'],
    ['deallocate p;', 'p'],
    ['deallocate prepare "p"', '"p"'],
  ]
  for (const [sql, name] of table) {
    const { nameStart, nameStop } = read(sql)
    assert.equal(sql.slice(nameStart, nameStop), name)
  }
})

test('session-wide settings are named in lower case, local ones are not', () => {
  const table: readonly [string, readonly string[]][] = [
    ['set timezone to utc', ['timezone']],
    ['SET TimeZone = DEFAULT', ['timezone']],
    ['set session work_mem = 1', ['work_mem']],
    ['set "DateStyle" to \'ISO\'', ['datestyle']],
    ['set app.tenant to 7', ['app.tenant']],
    ['set app . tenant to 7', ['app.tenant']],
    ['set "app"."Tenant" to 7', ['app.tenant']],
    ['set a.b.c = 1', ['a.b.c']],
    ['set time zone local', ['timezone']],
    ["set session time zone interval '1' hour to minute", ['timezone']],
    ["set names 'utf8'", ['client_encoding']],
    ["set schema 'x'", ['search_path']],
    ['set role x', ['role']],
    ['set session role x', ['role']],
    ['set session authorization x', ['session_authorization', 'role']],
    [
      'set session characteristics as transaction read only',
      ['default_transaction_isolation', 'default_transaction_read_only', 'default_transaction_deferrable'],
    ],
    ['set transaction_isolation to serializable', []],
    ['set xml option document', ['xmloption']],
    ['set a to 1; set b to 2', ['a', 'b']],
    ['begin; set a to 1', ['a']],
    ['set local.x to 1', ['local.x']],
    ['set session.x to 1', ['session.x']],
    ['set session session.x to 1', ['session.x']],
    ['set time.zone to 1', ['time.zone']],
    ['set names.x to 1', ['names.x']],
    ['set schema.x to 1', ['schema.x']],
    ['set transaction.x to 1', ['transaction.x']],
    ['set constraints.x to 1', ['constraints.x']],
    ['set local work_mem to 1', []],
    ['set local time zone utc', []],
    ['set local role x', []],
    ['set local session.x to 1', []],
    ['set transaction isolation level serializable', []],
    ["set transaction snapshot 'x'", []],
    ['set constraints all deferred', []],
    ['alter system set work_mem to 1', []],
    ['alter role r set work_mem to 1', []],
    ['update t set a = 1', []],
    ['create function f() returns int set work_mem to 1 language sql', []],
    ["select 'set a to 1'", []],
    ['-- set a to 1', []],
  ]
  for (const [sql, settings] of table) {
    assert.deepEqual(read(sql).settings, settings, sql)
    assert.equal((read(sql).flags & FACT.sets) !== 0, settings.length > 0, sql)
  }
})

test('RESET names what it resets', () => {
  const table: readonly [string, readonly string[]][] = [
    ['reset work_mem', ['work_mem']],
    ['RESET TimeZone', ['timezone']],
    ['reset time zone', ['timezone']],
    ['reset app.tenant', ['app.tenant']],
    ['reset session authorization', ['session_authorization', 'role']],
    ['reset session.x', ['session.x']],
    ['reset time.zone', ['time.zone']],
    ['reset role', ['role']],
  ]
  for (const [sql, settings] of table) {
    assert.deepEqual(read(sql).settings, settings, sql)
    assert.ok(
      read(sql).values.every((value) => value === null || value === 'none'),
      sql,
    )
    assert.equal(read(sql).flags & FACT.resetsAll, 0, sql)
  }
  assert.notEqual(read('reset all').flags & FACT.resetsAll, 0)
  assert.deepEqual(read('reset all').settings, [])
})

test('a value is what the text says, if it says it plainly', () => {
  const table: readonly [string, string | null | undefined][] = [
    ['set a to 5', '5'],
    ['set a = -1.5', '-1.5'],
    ['set a = +3', '3'],
    ["set a = 'It''s'", "It's"],
    ['set a to On', 'on'],
    ['set a to "On"', 'On'],
    ['set a to default', null],
    ['SET a TO DEFAULT', null],
    ['reset a', null],
    ["set app.b = '7'; select 1", '7'],
    ['set role x', 'x'],
    ["set role 'X'", 'X'],
    ['set role none', 'none'],
    ['set search_path to app', 'app'],
    ["set search_path to 'a, b'", undefined],
    ['set search_path to a, b', undefined],
    ["set a = 'b', 'c'", undefined],
    ["set a = E'b'", undefined],
    ["set a = 'b\\c'", undefined],
    ["set a = 'é'", undefined],
    [`set a = '${'x'.repeat(300)}'`, undefined],
    ["set a = 'b' 'c'", undefined],
    ['set a = - b', undefined],
    ['set a from current', undefined],
    ['set a', undefined],
    ['set a =', undefined],
    ['set time zone utc', undefined],
    ['set time zone local', null],
    ['set time zone default', null],
    ['set names default', null],
    ['set names', null],
    ["set names 'utf8'", undefined],
    ["select set_config('a', 'b', false)", undefined],
  ]
  for (const [sql, value] of table) assert.deepEqual([sql, read(sql).values[0]], [sql, value])
})

test('what is kept of a text stays, and nothing is kept of one that does nothing', () => {
  const kept = read('set a to 1; listen x; reset b').keep()
  read('select 1')
  assert.deepEqual(kept?.settings, ['a', 'b'])
  assert.deepEqual(kept?.values, ['1', null])
  assert.deepEqual(kept?.channels, ['x'])
  assert.ok(kept !== null && (kept.flags & FACT.sets) !== 0)
  assert.equal(read('select 1; select 2').keep(), null)
})

test('what one text says is forgotten when the next is read', () => {
  read("set a to 1; listen x; select currval('s'), f(1)")
  const { pins, flags, settings } = read('select 1')
  assert.deepEqual([pins, flags, settings], [0, 0, []])
})

test('only the part of the buffer that is the text counts', () => {
  const facts = new StatementFacts(null)
  const bytes = Buffer.from('listen x; select 1; listen y')
  facts.read(bytes, 10, 18)
  assert.equal(facts.pins, 0)
  facts.read(Buffer.from('select f(1)'), 0, 'select f'.length)
  assert.equal(facts.pins, 0)
  facts.read(Buffer.from('select 1\0listen x'), 0, 17)
  assert.equal(facts.pins, 0)
})

test('LISTEN tells the channels as the server will call them, UNLISTEN only that it is there', () => {
  const both = read('LISTEN One; UNLISTEN two; listen "Three"; select 4')
  assert.deepEqual(both.channels, ['one', 'Three'])
  assert.equal(both.flags & FACT.listens, FACT.listens)
  assert.equal(both.flags & FACT.unlistens, FACT.unlistens)
  const long = read(`listen ${'x'.repeat(70)}`)
  assert.deepEqual(long.channels, ['x'.repeat(63)])
  assert.equal(long.flags & FACT.unlistens, 0)
  for (const sql of ['notify a', "select pg_notify('listen', 'x')", 'discard temp', '-- listen a']) {
    const none = read(sql)
    assert.deepEqual(none.channels, [], sql)
    assert.equal(none.flags & (FACT.listens | FACT.unlistens), 0, sql)
  }
})

test('what only reads is told by its words, and everything in doubt writes', () => {
  const intents = (intent: number, statements: readonly string[]): void => {
    for (const sql of statements) assert.equal(read(sql).intent, intent, sql)
  }
  intents(INTENT.read, [
    'SELECT a, lower(b) FROM t JOIN u ON (t.x = u.x) WHERE c IN (SELECT 1) ORDER BY random()',
    'with a as (select 1) select * from a',
    'values (1, 2)',
    'show work_mem',
    'begin; select 1; commit',
  ])
  intents(INTENT.none, ['begin read only', 'commit', 'rollback to a', 'savepoint a', 'set x to 1', 'close c', ''])
  intents(INTENT.write, [
    'insert into t values (1)',
    'select 1 from t for update',
    'select 1 into t',
    'with a as (delete from t returning *) select * from a',
    'select f(1)',
    "select nextval('s'), pg_is_in_recovery()",
    'select pg_stat_get_numscans(1)',
    'select 1; drop table t',
    "commit prepared 'x'",
    'explain select 1',
    'execute p',
    'select cube(1)',
  ])
})
