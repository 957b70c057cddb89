import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertPins, flagsOf, pinsOf, read } from './statement-facts.fixture.ts'

/** What set_config sets for longer than the transaction. */
const touched = (sql: string): string => read(sql).settings.join(' ')

test('set_config touches a setting unless its third argument is the word true', () => {
  for (const sql of [
    "select set_config('a.b', 'c', false)",
    "select set_config('a.b', 'c', 'true')",
    "select set_config('a.b', 'c', not true)",
    "select set_config('a.b', 'c', true and false)",
    "select set_config('a.b', 'c', (true))",
    "select set_config('a.b', 'c', is_local => false)",
    "select set_config('a.b', 'true', $1)",
    "select set_config('A.b', 'c', false)",
    "select pg_catalog.set_config('a.b'::text, '', false)",
    "select set_config ('a.b', 'c', false)",
    "select set_config/**/('a.b', 'c', false)",
    "select set_config -- (\n ('a.b', 'c', false)",
    "insert into t select set_config('a.b', 'c', false)",
    "insert into t (a) values (set_config('a.b', 'c', false))",
    "update t set a = set_config('a.b', 'c', false)",
    "delete from t where set_config('a.b', 'c', false) is null",
    "select a[1:set_config('a.b', '2', false)::int] from t",
    "select set_config('a.b', set_config('a.c', 'd', false), true)",
    "select set_config('a.b', 'c', true), set_config('a.b', 'c', false)",
    "create table t as select set_config('a.b', 'c', false)",
    "create table t as select 1 from u join v on set_config('a.b', 'c', false) = ''",
    "create materialized view v as select set_config('a.b', 'c', false)",
    "alter table t alter a type text using set_config('a.b', 'c', false)",
    "alter table t add column if not exists a text default set_config('a.b', 'c', false)",
    "create index on t (set_config('a.b', 'c', false))",
    "declare c cursor for select set_config('a.b', 'c', false)",
    "values (set_config('a.b', 'c', false))",
    "select from t limit length(set_config('a.b', 'c', false))",
    "merge into t using u on true when matched then update set a = set_config('a.b', 'c', false)",
  ]) {
    assert.equal(pinsOf(sql), '', sql)
    assert.match(touched(sql), /^(a.b|a.c|a.b a.c|a.c a.b)$/, sql)
    assert.ok(read(sql).values.every((value) => value === undefined))
  }
  assert.equal(touched("set a.c to 1; select set_config('a.b', '2', false); reset a.d"), 'a.c a.b a.d')
  assertPins('setting', [
    'select set_config($1, $2, $3)',
    "select set_config('a.' || 'b', 'c', false)",
    "select set_config(lower('a.b'), 'c', false)",
    "select set_config(E'a.b', 'c', false)",
    "select set_config(setting_name => 'a.b', new_value => 'c', is_local => false)",
  ])
  assertPins('randomSeed', ['select setseed(0.5)', 'set seed to 0.5', 'set local seed to 0.5'])
  assertPins('', [
    "select set_config('a.b', 'c', true)",
    "select set_config('a.b', $1, true), set_config('c.d', $2, TRUE)",
    "select pg_catalog.set_config('a.b', coalesce($1, cast(x as text)), true) from t",
    "select set_config('a.b', 'c)', true)",
    "select set_config('a.b', set_config('a.c', 'd', true), true)",
  ])
  assertPins('unknownFunction', [
    "select set_config('a.b', f(1), true)",
    "select set_config('a.b', app.lower('x'), true)",
    'select set_config($1, "lower"($2), true)',
  ])
})

test('arguments of set_config that are too many to look through pin', () => {
  const nested = `select ${"set_config('a.b',".repeat(300)}'c'${',true)'.repeat(300)}`
  assert.equal(pinsOf(nested), 'setting')
  assert.equal(pinsOf(`select ${'set_config('.repeat(20_000)}`), 'setting')
})

test('a function of the user may do anything, so its call pins', () => {
  assertPins('unknownFunction', [
    'select f(1)',
    'select f ( )',
    'select f\n(1)',
    'select f/* x */(1)',
    'select f -- (\n(1)',
    'select s.f(1)',
    'select s . f (1)',
    'select s/**/./**/f(1)',
    'select d.s.f(1)',
    'select public.lower(x)',
    'select "lower"(x)',
    'select "f"(1)',
    'select "pg_catalog".lower(x)',
    'select größe(1)',
    'select pg_catalog.f(1)',
    'select lower(f(1))',
    'select 1 + f(1), -f(2)',
    'select not f(1)',
    'select a operator(pg_catalog.+) f(1)',
    "select 'a' operator(s.||)f(1)",
    'select s.operator(1)',
    "select 'a' || f(1)",
    'select * from f(1)',
    'select * from f(1) as t (a int)',
    'select * from t, lateral f(t.a) x',
    'select * from t join u on f(t.a)',
    'select * from t order by f(a)',
    'select (f(1)).a',
    'select count(*) filter (where f(a)) from t',
    'select count(*) over (order by f(a)) from t',
    'select case f(1) when 2 then 3 end',
    'select coalesce(f(1), 2)',
    'select cast(f(1) as int)',
    'values (1), (f(1))',
    'insert into t select f()',
    'insert into t (a) values (f(1))',
    'insert into t values (1) returning f(a)',
    'insert into t values (1) on conflict (a) do update set a = f(1)',
    'update t set a = f(1)',
    'update t set (a, b) = (f(1), 2)',
    'update t set (a) = row (set(1))',
    'update t set a = set(1)',
    'delete from t where f(a)',
    'copy (select f()) to stdout',
    'copy t from stdin where f(a)',
    'explain analyze select f(1)',
    'with x as (select f(1)) select 1',
    'with x (a) as materialized (select f(1)) select 1',
    'create table t as select f(1)',
    'create table t as values (f(1))',
    'create table t as select a from b join c on f(1)',
    'alter table t add a int default f(1)',
    'alter table t alter a type int using f(a)',
    'alter table t add check (f(a))',
    'select a from t where a = 1 and(f(1))',
    'table t union select f(1)',
    'execute p(f(1))',
    'select query_to_xml($1, true, true, $2)',
    'select dblink_exec($1)',
    'select pg_backup_start($1)',
    'select pg_create_logical_replication_slot($1, $2, true)',
    'select pg_create_physical_replication_slot($1, true, true)',
    'do language plpgsql $$begin end$$',
    "do 'begin end'",
    'call p()',
    'call s.p(1)',
  ])
})

test('a function whose name is a keyword elsewhere is still a call', () => {
  for (const name of [
    ...['temp', 'reset', 'comment', 'commit', 'start', 'load', 'hold', 'listen', 'discard', 'session', 'local'],
    ...['begin', 'abort', 'rollback', 'prepare', 'deallocate', 'declare', 'call', 'execute', 'alter', 'drop', 'revoke'],
    ...['over', 'filter', 'within', 'merge', 'delete', 'update', 'insert', 'copy', 'columns', 'explain', 'verbose'],
    ...[
      'table_x',
      'key',
      'hash',
      'range',
      'storage',
      'options',
      'view',
      'function',
      'type',
      'domain',
      'names',
      'plans',
    ],
    ...[
      'set',
      'is',
      'similar',
      'characteristics',
      'transaction',
      'pg_temp',
      'pg_catalog',
      'btree',
      'atomic',
      'without',
    ],
  ]) {
    assertPins('unknownFunction', [`select ${name}(1)`, `select 1, ${name} (1) from t`, `select s.${name}(1)`])
  }
})

test('what looks like a call in a string, a comment or a dollar quote is none', () => {
  assertPins('', [
    "select 'f(1)', 'set_config(''a'', ''b'', false)'",
    "select E'\\'f(1)'",
    'select $$f(1)$$, $f$ nextval(1) $f$',
    'select 1 -- f(1)\n',
    'select 1 /* f(1) /* g(2) */ h(3) */',
    'select "f(1)", "nextval(""s"")"',
    "select U&'f(1)', b'0', x'1F', n'f(1)'",
  ])
})

test('sequences pin what changes them; what only reads them is flagged', () => {
  assertPins('sequence', [
    "select nextval('s')",
    "insert into t (a) values (nextval('s'))",
    "select setval('s', 1)",
    "alter table t add column a bigint default nextval('s')",
    "create materialized view m as select nextval('s')",
  ])
  assertPins('', ["select currval('s')", 'select lastval()'])
  assert.equal(flagsOf("select currval('s')"), 'readsSequence')
  assert.equal(flagsOf('select pg_catalog.lastval()'), 'readsSequence')
  assert.equal(flagsOf("select nextval('a'), currval('b')"), 'readsSequence')
  assert.equal(flagsOf("select nextval('s')"), '')
  assert.equal(flagsOf("select 'lastval()'"), '')
})
