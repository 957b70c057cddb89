import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pinReasons } from '../memory/client-slots.ts'
import { FACT, StatementFacts } from './statement-facts.ts'

const facts = new StatementFacts()

function read(sql: string): StatementFacts {
  const bytes = Buffer.from(sql)
  facts.read(bytes, 0, bytes.length)
  return facts
}

const pinsOf = (sql: string): string => pinReasons(read(sql).pins).join(' ')

function flagsOf(sql: string): string {
  const { flags } = read(sql)
  const names = Object.entries(FACT).filter(([, bit]) => (flags & bit) !== 0)
  return names.map(([name]) => name).join(' ')
}

/** Each statement alone, in capitals, and as the second and the first of two. */
function assertPins(pins: string, statements: readonly string[]): void {
  for (const sql of statements) {
    assert.equal(pinsOf(sql), pins, sql)
    assert.equal(pinsOf(`select 1; ${sql}`), pins, `after another: ${sql}`)
    assert.equal(pinsOf(`${sql}; select 1`), pins, `before another: ${sql}`)
    if (!/['"$]/.test(sql)) assert.equal(pinsOf(sql.toUpperCase()), pins, `in capitals: ${sql}`)
  }
}

test('queries that use built-in functions, keywords and column lists pin nothing', () => {
  assertPins('', [
    'select 1',
    'table t',
    '(select 1)',
    'values (1), (2)',
    'select count(*), sum(x), lower(y) from t where a in (1, 2) and b = any ($1) order by 1',
    'select pg_catalog.lower(x), pg_catalog . upper (x)',
    "select extract(year from now()), position('a' in 'b'), substring(x from 1 for 2), trim(both from x)",
    'select cast(x as numeric(10, 2)), x::varchar(3), y::timestamp(3) with time zone, z::pg_catalog.bpchar',
    'select x::public.geometry, y::interval(3), current_timestamp(3), localtime(0)',
    'select coalesce(a, b), nullif(a, b), greatest(a, b), row(1, 2), array(select 1), exists (select 1)',
    'select case when (a) then (b) else (c) end from t group by (a), rollup (b, c), grouping sets ((a), ())',
    'select rank() over (partition by a order by b), sum(x) filter (where y > 0) over w from t window w as (order by z)',
    'select percentile_cont(0.5) within group (order by x) from t',
    'select * from t as x (a, b), lateral (select 1) y(c) join u using (a) join v on (v.a = u.a)',
    'select * from generate_series(1, 3) as g(n), unnest(x) with ordinality as u(v, i)',
    'select a[1:2], a[b:c], $1::int',
    'select a operator(pg_catalog.+) b from t where c operator ( "s" . ~ ) (d) order by a using operator(s.<)',
    'with x as (select 1), y as not materialized (select 2) select * from x, y',
    'with recursive t(n) as (values (1) union all select n + 1 from t where (n) < 5) select * from t',
    'select a from t union (select b from u) except (select c from v) limit (1) offset (2)',
    'select json_object_agg(a, b), json_build_object(), jsonb_path_query(x, y) from t',
    'select current_user, current_date, session_user',
    'select * from t where a like (b) and c between symmetric (d) and (e) and (f) is not distinct from (g)',
    'insert into t (a, b) values (1, default) on conflict (a) do update set (a, b) = (1, 2) returning (a)',
    'insert into s.t (a) select lower(b) from u',
    'insert into s . t (a) values (1)',
    'update t set (a, b) = (select 1, 2) where (c)',
    'delete from t using u where t.a = (u.a)',
    'merge into t using s on (t.a = s.a) when matched then update set (a, b) = (1, 2) when not matched then insert (a) values (1)',
    'copy t (a, b) from stdin with (format csv)',
    'copy (select 1) to stdout',
    'explain (analyze, costs off) select 1',
    'explain analyze select 1',
    'vacuum (full) t',
    'show all',
    'notify x',
    'unlisten *',
    'lock table t in share mode',
    'fetch 3 from c',
    'close c',
    'savepoint a',
    'release a',
    'checkpoint',
    'select pg_sleep(1), pg_backend_pid(), pg_notify($1, $2), random(), txid_current()',
  ])
})

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

test('set_config pins unless its third argument is the word true', () => {
  assertPins('setting', [
    "select set_config('a.b', 'c', false)",
    'select set_config($1, $2, $3)',
    "select set_config('a.b', 'c', 'true')",
    "select set_config('a.b', 'c', not true)",
    "select set_config('a.b', 'c', true and false)",
    "select set_config('a.b', 'c', (true))",
    "select set_config('a.b', 'c', is_local => false)",
    "select set_config('a.b', 'true', $1)",
    'select setseed(0.5)',
    "select pg_catalog.set_config('search_path', '', false)",
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
  ])
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

test('DDL pins nothing by itself', () => {
  assertPins('', [
    'create table t (a int primary key, b text not null default 1, c numeric(10, 2), unique (a, b), check (a > 1))',
    'create table if not exists s.t (a int references u (b) on delete cascade) with (fillfactor = 70)',
    'create table s . t (a int, b varchar(3), c bit varying(3), d timestamp (3) without time zone)',
    'create table t (a int generated always as identity (start with 1), b int generated always as (a * 2) stored)',
    'create table t (like u including all) inherits (v)',
    'create table p partition of t for values from (1) to (2)',
    'create table t (a int) partition by range (a)',
    'create table t (begin date, "end" date)',
    'create unique index concurrently if not exists i on only s.t using gin (a, lower(b)) include (c) where a in (1)',
    'create view v (a, b) as select 1, 2',
    'create or replace function f(a int, b text) returns table (c int) language sql as $$select nextval($1)$$',
    "create function f() returns trigger language plpgsql set search_path to 'x' as 'begin end'",
    'create function f() returns int language sql begin atomic select 1; select case when true then 2 end; end',
    'create procedure p(a int) language sql begin atomic end',
    'create trigger x before update of a, b on t for each row execute function f()',
    'create aggregate s.f (int) (sfunc = int4pl, stype = int)',
    'create operator s.+ (function = int4pl, leftarg = int, rightarg = int)',
    'drop operator s.+ (int, int)',
    'alter table t add exclude using gist (a with operator(s.&&))',
    'create operator class c for type int using btree as operator 1 < (int, int), function 1 f(int, int)',
    'create type t as (a int, b varchar(3))',
    "create type t as enum ('a', 'b')",
    'create domain d as varchar(3) check (value is not null)',
    'create statistics s (ndistinct) on a, b from t',
    'create extension hstore',
    'create schema s',
    'create role r',
    'alter table t set (fillfactor = 70), reset (autovacuum_enabled)',
    'alter table t rename to u',
    'alter table t add constraint c foreign key (a) references s.u (b)',
    'alter role r set work_mem to 1',
    'alter system set work_mem = 1',
    'alter database d reset all',
    'alter function f(int) stable',
    'drop table if exists s.t cascade',
    'drop function if exists s.f(int)',
    "comment on function f(int) is 'f(1)'",
    "security label on table t is 'x'",
    'grant select (a, b), update on t to r',
    'grant execute on function f(int) to r',
    'revoke all on all tables in schema s from r',
    'import foreign schema s limit to (t, u) from server x into y',
    'truncate t',
    'reindex (verbose) table t',
    'refresh materialized view v',
  ])
})

test('a function body does not hide the statements behind it', () => {
  const body = 'create function f() returns int language sql begin atomic select 1; select 2; end'
  assert.equal(pinsOf(`${body}; listen x`), 'listen')
  assert.equal(flagsOf(`${body}; set app.tenant to 1`), 'several sets')
  assert.equal(pinsOf('create table t (begin int, "end" int); listen x'), 'listen')
  assert.equal(pinsOf('create table begin (a int); listen x'), 'listen')
  assert.equal(pinsOf('create procedure p() begin atomic end; listen x'), 'listen')
  assert.equal(pinsOf('create table t (begin atomic); listen x'), 'undecidedStatement')
})

test('what cannot be decided pins', () => {
  assertPins('undecidedStatement', ["select 'a\\''", 'select U&"a" from t', 'select 1and 2'])
  for (const sql of ["select '", 'select "a', 'select $$a', 'select /* a', "select E'a\\'"]) {
    assert.equal(pinsOf(sql), 'undecidedStatement', sql)
  }
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
    ['rollback', 'rollsBack'],
    ['abort', 'rollsBack'],
    ['rollback work', 'rollsBack'],
    ['rollback to a', ''],
    ['rollback to savepoint "a"', ''],
    ['rollback transaction to a', ''],
    ['rollback; begin', 'begins rollsBack several'],
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
    ['discard all', 'discardsAll'],
    ['DISCARD ALL', 'discardsAll'],
    ['discard plans', ''],
    ['discard sequences', ''],
    ['discard temp', ''],
    ['deallocate all', 'deallocatesAll'],
    ['deallocate prepare all', 'deallocatesAll'],
    ['deallocate p', 'deallocates'],
    ['deallocate prepare p', 'deallocates'],
    ['deallocate "all"', 'deallocates'],
    ['execute p', 'executes'],
    ['select 1; discard all', 'several discardsAll'],
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
    ['set session authorization x', ['session_authorization']],
    ['set session characteristics as transaction read only', ['default_transaction_isolation']],
    ['set xml option document', ['xml']],
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
    assert.equal((read(sql).flags & FACT.resets) !== 0, false, sql)
  }
})

test('RESET names what it resets', () => {
  const table: readonly [string, readonly string[]][] = [
    ['reset work_mem', ['work_mem']],
    ['RESET TimeZone', ['timezone']],
    ['reset time zone', ['timezone']],
    ['reset app.tenant', ['app.tenant']],
    ['reset session authorization', ['session_authorization']],
    ['reset session.x', ['session.x']],
    ['reset time.zone', ['time.zone']],
    ['reset role', ['role']],
  ]
  for (const [sql, settings] of table) {
    assert.deepEqual(read(sql).settings, settings, sql)
    assert.notEqual(read(sql).flags & FACT.resets, 0, sql)
    assert.equal(read(sql).flags & FACT.resetsAll, 0, sql)
  }
  assert.notEqual(read('reset all').flags & FACT.resetsAll, 0)
  assert.deepEqual(read('reset all').settings, [])
})

test('what one text says is forgotten when the next is read', () => {
  read("set a to 1; listen x; select currval('s'), f(1)")
  const { pins, flags, settings } = read('select 1')
  assert.deepEqual([pins, flags, settings], [0, 0, []])
})

test('only the part of the buffer that is the text counts', () => {
  const bytes = Buffer.from('listen x; select 1; listen y')
  facts.read(bytes, 10, 18)
  assert.equal(facts.pins, 0)
  facts.read(Buffer.from('select f(1)'), 0, 'select f'.length)
  assert.equal(facts.pins, 0)
  facts.read(Buffer.from('select 1\0listen x'), 0, 17)
  assert.equal(facts.pins, 0)
})
