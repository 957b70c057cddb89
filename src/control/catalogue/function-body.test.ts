import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PostgresParser } from '../../sql/postgres-parser.ts'
import { type FunctionBody, type FunctionRow, functionBody } from './function-body.ts'

const parser = await PostgresParser.load()

const ROW: FunctionRow = {
  oid: '1',
  schema: 'public',
  name: 'f',
  language: 'sql',
  kind: 'f',
  volatility: 'v',
  extension: null,
  source: 'SELECT 1',
  defaults: null,
  parts: [],
}

const bodyOf = (row: Partial<FunctionRow>): FunctionBody | null => functionBody({ ...ROW, ...row }, parser)

const plpgsql = (body: string, declarations = ''): FunctionBody | null =>
  bodyOf({
    language: 'plpgsql',
    source: `CREATE OR REPLACE FUNCTION public.f() RETURNS SETOF integer LANGUAGE plpgsql AS $function$ DECLARE x int; ${declarations} BEGIN ${body} END $function$`,
  })

const callsOf = (body: FunctionBody | null): string =>
  body === null ? 'anything' : body.calls.map(({ schema, name }) => (schema ? `${schema}.${name}` : name)).join(' ')

test('a body in SQL does what its statements do', () => {
  assert.deepEqual(bodyOf({ source: 'SELECT lower($1) || upper($2)' }), { calls: [], relations: [], writes: false })
  assert.deepEqual(bodyOf({ source: 'INSERT INTO t VALUES (g(1)); SELECT 1' }), {
    calls: [{ schema: null, name: 'g' }],
    relations: [{ schema: null, name: 't' }],
    writes: true,
  })
  const atomic = 'CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT g(1); SELECT s.h(2); END'
  assert.equal(callsOf(bodyOf({ source: atomic })), 's.h g')
  assert.equal(callsOf(bodyOf({ source: 'CREATE FUNCTION f() RETURNS int LANGUAGE sql RETURN g(1)' })), 'g')
})

test('a setting of the transaction is none of the session', () => {
  assert.notEqual(bodyOf({ source: "SELECT set_config('a.b', $1, true)" }), null)
  assert.equal(bodyOf({ source: "SELECT set_config('a.b', $1, $2)" }), null)
})

test('a body that leaves something behind, or runs more than queries, may do anything', () => {
  for (const source of [
    "SELECT set_config('a.b', $1, false)",
    'SELECT pg_advisory_lock(1)',
    'CREATE TEMP TABLE t (a int)',
    'SET work_mem = 1',
    'SELECT 1 INTO t',
    'LISTEN x',
    'no SQL at all',
  ]) {
    assert.equal(bodyOf({ source }), null, source)
  }
})

test('what is left out calls the expressions of its default', () => {
  assert.equal(callsOf(bodyOf({ defaults: "g(), 'x'::text" })), 'g')
  assert.equal(bodyOf({ defaults: 'pg_advisory_lock(1)' }), null)
})

test('a body in PL/pgSQL does what all of its expressions and statements do', () => {
  assert.equal(callsOf(plpgsql('x := g(1); x = x + h(2); PERFORM k(3); RETURN NEXT l(4);')), 'l k h g')
  assert.equal(callsOf(plpgsql('RAISE NOTICE $$%$$, g(1); IF h(2) THEN NULL; END IF;')), 'h g')
  assert.equal(callsOf(plpgsql('RETURN QUERY SELECT g(1);', 'y int := h(2); c CURSOR FOR SELECT k(3);')), 'g k h')
  assert.equal(callsOf(plpgsql('OPEN c; FETCH c INTO x; CLOSE c;', 'c CURSOR FOR SELECT 1;')), '')
  assert.equal(callsOf(plpgsql('a[g(1)] := 2;', 'a int[];')), 'g')
  assert.deepEqual(plpgsql('SELECT count(*) INTO x FROM s.t;'), {
    calls: [],
    relations: [{ schema: 's', name: 't' }],
    writes: false,
  })
  assert.equal(plpgsql('DELETE FROM t;')?.writes, true)
  assert.deepEqual(plpgsql('x := 1;')?.relations, [])
})

test('a body in PL/pgSQL that runs a text it makes, or what only it can, may do anything', () => {
  for (const body of [
    "EXECUTE 'SET x TO 1';",
    "FOR x IN EXECUTE 'SELECT 1' LOOP NULL; END LOOP;",
    "RETURN QUERY EXECUTE 'SELECT 1';",
    "SET work_mem = '1MB';",
    'CREATE TEMP TABLE t (a int);',
    "PERFORM set_config('a.b', 'c', false);",
    'COMMIT;',
    'CALL p();',
    "OPEN c FOR EXECUTE 'SELECT 1';",
    'LISTEN x;',
  ]) {
    assert.equal(plpgsql(body, 'c refcursor;'), null, body)
  }
})

test('functions in C are trusted by their extension, those in other languages are not', () => {
  assert.notEqual(bodyOf({ language: 'c', extension: 'pgcrypto', source: null }), null)
  assert.equal(bodyOf({ language: 'c', extension: 'dblink', source: null }), null)
  assert.equal(bodyOf({ language: 'c', extension: null, source: null }), null)
  assert.equal(bodyOf({ language: 'c', extension: 'pg_trgm', name: 'set_limit', source: null }), null)
  assert.equal(bodyOf({ language: 'plpython3u', source: null }), null)
  assert.equal(bodyOf({ language: 'internal', source: null }), null)
})

test('an aggregate does what it is made of', () => {
  const parts: FunctionRow['parts'] = [
    ['pg_catalog', 'int4_avg_accum'],
    ['s', 'final'],
  ]
  assert.equal(callsOf(bodyOf({ kind: 'a', source: null, parts })), 's.final')
  assert.equal(bodyOf({ kind: 'a', source: null, parts: [['pg_catalog', 'set_config']] }), null)
})
