import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertPins, pinsOf } from './statement-facts.fixture.ts'

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
