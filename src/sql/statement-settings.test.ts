import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FACT } from './statement-effects.ts'
import { read } from './statement-facts.fixture.ts'

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
