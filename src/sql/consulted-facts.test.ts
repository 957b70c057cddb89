import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pinReasons } from '../memory/client-slots.ts'
import { PostgresParser } from './postgres-parser.ts'
import { SecondOpinion } from './second-opinion.ts'
import { FACT } from './statement-effects.ts'
import { StatementFacts } from './statement-facts.ts'

const opinion = new SecondOpinion(await PostgresParser.load(), () => 0)
const facts = new StatementFacts(opinion)

function read(sql: string): StatementFacts {
  const bytes = Buffer.from(`"${sql}"`)
  facts.read(bytes, 1, bytes.length - 1)
  return facts
}

const pinsOf = (sql: string): string => pinReasons(read(sql).pins).join(' ')

test('what only looks like a call or a temporary object pins no more', () => {
  for (const sql of [
    'create table t (temporary int, temp text)',
    'select temp from temporary',
    'alter table t rename column temp to temporary',
    'insert into t select * from only (s.u)',
    'create index i on t using gin (a jsonb_path_ops (x = 1))',
  ]) {
    assert.equal(pinsOf(sql), '', sql)
    assert.equal(facts.calls, null, sql)
  }
})

test('what was taken for a keyword and is a call pins', () => {
  for (const sql of [
    'select cube(1)',
    'select rollup(a), sets(b)',
    'select recursive(1)',
    'select a from t join "join"(1) on true',
  ]) {
    assert.equal(pinsOf(sql), 'unknownFunction', sql)
  }
  assert.equal(pinsOf('select a from t group by cube (a), rollup (b)'), '')
})

test('the functions behind a pin are named if it is for them alone', () => {
  assert.deepEqual(read('select f(1), s.g(2)').keep()?.calls, [
    { schema: 's', name: 'g' },
    { schema: null, name: 'f' },
  ])
  assert.equal(pinsOf('select f(1)'), 'unknownFunction')
  assert.equal(read("select f(1); do 'x'").calls, null)
  assert.equal(pinsOf("select f(1); do 'x'"), 'unknownFunction')
  assert.deepEqual(read('call p(1)').calls, [{ schema: null, name: 'p' }])
  assert.equal(read('select 1').calls, null)
})

test('built-in functions by quoted names are what they are', () => {
  assert.equal(pinsOf('select "lower"(a)'), '')
  assert.equal(pinsOf('select "pg_advisory_lock"(1)'), 'advisoryLock')
  assert.equal(pinsOf("select \"set_config\"('a.b', 'c', false)"), 'setting')
  assert.equal(pinsOf("select set_config('a.b', 'c', false), f(1)"), 'unknownFunction')
  assert.deepEqual([...facts.settings], ['a.b'])
  assert.equal(read('select "currval"(\'s\')').flags & FACT.readsSequence, FACT.readsSequence)
  assert.equal(read('select "pg_advisory_unlock"(1)').flags & FACT.frees, FACT.frees)
})

test('what the words say for certain stays', () => {
  assert.equal(pinsOf('set search_path to pg_temp; select temp'), 'temporaryObject')
  assert.equal(pinsOf('listen x; select temp'), 'listen')
  assert.equal(pinsOf('declare c cursor with hold for select temp'), 'holdCursor')
})

test('what the grammar refuses, or quoting leaves undecided, has the words for it only', () => {
  assert.equal(pinsOf('select temp f( from'), 'temporaryObject unknownFunction')
  const before = opinion.parsed
  assert.equal(pinsOf(String.raw`select f('\'')`), 'unknownFunction undecidedStatement')
  assert.equal(opinion.parsed, before)
})

test('ordinary statements are not parsed', () => {
  const before = opinion.parsed
  for (const sql of [
    'select abalance from pgbench_accounts where aid = 1',
    "insert into t (a, b) values (1, lower('x')) on conflict (a) do update set b = 1",
    'select count(*) from (select 1) a left join (select 2) b on (true) group by (c) order by (d)',
    'update t set (a, b) = (1, 2) where c in (3)',
    'begin',
    'set app.x to 1',
    "select set_config('app.x', '1', false), nextval('s')",
  ]) {
    read(sql)
  }
  assert.equal(opinion.parsed, before)
})

test('the condition of a join in an INSERT may begin with a function whose name is conflict', () => {
  const insert = 'insert into t (a) select x from u join v on conflict'
  assert.equal(pinsOf(`${insert} (u.i = v.i) on conflict do nothing`), 'unknownFunction')
  assert.equal(pinsOf('insert into t (a) select x from u join v on (true) on conflict (a) do nothing'), '')
})
