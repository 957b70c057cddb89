import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertPins, flagsOf, pinsOf } from './statement-facts.fixture.ts'

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
    "select * from json_table(x, '$[*]' columns (a int path '$.a')), interval '1' second (3)",
    'select x::geometry(point, 4326), time (3), not (a), a = all (b), a <> all(select 1)',
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
    'merge into t using s on (t.a = s.a) when not matched then insert (a) values (1)',
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
    'grant select on t to r',
    'grant update (a), insert (a), references (a) on t to r',
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
  assert.equal(flagsOf(`${body}; set app.tenant to 1`), 'several sets defines')
  assert.equal(pinsOf('create table t (begin int, "end" int); listen x'), 'listen')
  assert.equal(pinsOf('create table begin (a int); listen x'), 'listen')
  assert.equal(pinsOf('create procedure p() begin atomic end; listen x'), 'listen')
  assert.equal(pinsOf('create table t (begin atomic); listen x'), 'undecidedStatement')
  assert.equal(pinsOf('drop table t; listen x'), 'listen', 'another text has another body')
})

test('what may come to call functions unseen defines something', () => {
  for (const sql of [
    'create trigger a before insert on t for each row execute function f()',
    'alter table t enable trigger a',
    'create view v as select 1',
    'create or replace rule r as on insert to t do also select 1',
    'alter policy p on t using (true)',
    'create domain d as int check (value > 0)',
    'create event trigger e on ddl_command_start execute function f()',
    'alter table t rename to u',
    'alter table t attach partition u for values in (1)',
    'create table t (like u including defaults)',
    'create table t (a int references u on delete cascade)',
    'create table t (a int default f())',
    "create table t (a text default set_config('a.b', 'c', false))",
    'create index i on t (f(a))',
  ]) {
    assert.match(flagsOf(sql), /\bdefines\b/, sql)
  }
  for (const sql of [
    'create table t (a int primary key, b timestamptz default now())',
    'create index i on t (lower(a))',
    'alter table t add column a int',
    'create temp table t as select f()',
    'drop table t',
    'insert into view values (1)',
  ]) {
    assert.doesNotMatch(flagsOf(sql), /\bdefines\b/, sql)
  }
})
