import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FACT } from './statement-effects.ts'
import { flagsOf, read } from './statement-facts.fixture.ts'
import { StatementFacts } from './statement-facts.ts'
import { INTENT } from './statement-intent.ts'

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
