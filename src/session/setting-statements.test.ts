import assert from 'node:assert/strict'
import { test } from 'node:test'
import { quoteText, statementsBetween } from './setting-statements.ts'

const ANYBODY = { user: 'app', isSuperuser: false, isRaw: false }
const SUPERUSER = { user: 'root', isSuperuser: true, isRaw: false }

const between = (from: Record<string, string>, to: Record<string, string>, dialect = ANYBODY): string =>
  statementsBetween(new Map(Object.entries(from)), new Map(Object.entries(to)), dialect).join(';')

test('the statements say nothing about what both share', () => {
  const table: readonly [Record<string, string>, Record<string, string>, string][] = [
    [{}, {}, ''],
    [{ timezone: 'UTC' }, { timezone: 'UTC' }, ''],
    [{ timezone: 'UTC', datestyle: 'ISO' }, { timezone: 'CET', datestyle: 'ISO' }, `SET "timezone" TO 'CET'`],
    [{ timezone: 'UTC' }, {}, `RESET "timezone"`],
    [{ a: '1', b: '1', d: '1' }, { b: '2', c: '2', d: '1' }, `RESET "a";SET "b" TO '2';SET "c" TO '2'`],
    [{}, { 'app.tenant': "O'Hara" }, `SET "app"."tenant" TO 'O''Hara'`],
    [{ 'app.tenant': '1' }, {}, `RESET "app"."tenant"`],
    [{}, { 'app.a"b': 'x' }, `SET "app"."a""b" TO 'x'`],
    [{}, { application_name: 'a\\b' }, `SET "application_name" TO  E'a\\\\b'`],
    [{}, { application_name: "\\' ; DROP TABLE t; --" }, `SET "application_name" TO  E'\\\\'' ; DROP TABLE t; --'`],
    [{}, { application_name: '' }, `SET "application_name" TO ''`],
    [{}, { search_path: '"$user", public' }, `SELECT pg_catalog.set_config('search_path','"$user", public',false)`],
    [{}, { search_path: "a\\'b" }, `SELECT pg_catalog.set_config('search_path', E'a\\\\''b',false)`],
    [{}, { temp_tablespaces: 'a, b' }, `SELECT pg_catalog.set_config('temp_tablespaces','a, b',false)`],
    [{ search_path: 'a' }, {}, `RESET "search_path"`],
    [{ datestyle: 'ISO, MDY' }, { datestyle: 'ISO, DMY' }, `SET "datestyle" TO 'ISO, DMY'`],
  ]
  for (const [from, to, sql] of table) assert.equal(between(from, to), sql)
})

test('who may not set everything becomes somebody else first', () => {
  const become = `SET "role" TO 'x';SET "a" TO '1'`
  assert.equal(between({}, { role: 'x', a: '1' }), become)
  assert.equal(between({ role: 'x' }, { role: 'x', a: '1' }), `SET "a" TO '1'`)
  assert.equal(between({ role: 'x', a: '1' }, {}), `RESET "role";RESET "a"`)
})

test('a superuser sets everything first', () => {
  const first = `RESET "session_authorization";RESET "role"`
  assert.equal(between({}, { role: 'x', a: '1' }, SUPERUSER), `${first};SET "a" TO '1';SET "role" TO 'x'`)
  assert.equal(between({ role: 'x' }, { role: 'x', a: '1' }, SUPERUSER), `${first};SET "a" TO '1';SET "role" TO 'x'`)
  assert.equal(between({ role: 'x' }, { role: 'x' }, SUPERUSER), '')
  assert.equal(
    between({ session_authorization: 'root' }, { session_authorization: 'x', role: 'y' }, SUPERUSER),
    `${first};SET "session_authorization" TO 'x';SET "role" TO 'y'`,
  )
  const other = { session_authorization: 'x' }
  assert.equal(
    between(other, { ...other, a: '1' }, SUPERUSER),
    `${first};SET "a" TO '1';SET "session_authorization" TO 'x'`,
  )
  const itself = { session_authorization: 'root' }
  assert.equal(between(itself, { ...itself, a: '1' }, SUPERUSER), `SET "a" TO '1'`)
})

test('the time for statements comes last, so that it is not that of the others', () => {
  const late = { statement_timeout: '5ms', work_mem: '5MB' }
  assert.equal(between({}, late), `SET "work_mem" TO '5MB';SET "statement_timeout" TO '5ms'`)
  assert.equal(between(late, {}), `RESET "work_mem";RESET "statement_timeout"`)
  assert.equal(between(late, { ...late, statement_timeout: '0' }), `SET "statement_timeout" TO '0'`)
  const become = `RESET "session_authorization";RESET "role";SET "work_mem" TO '5MB';SET "role" TO 'x'`
  assert.equal(between({}, { ...late, role: 'x' }, SUPERUSER), `${become};SET "statement_timeout" TO '5ms'`)
})

test('what is not ASCII is escaped, unless the database takes bytes as they come', () => {
  assert.equal(between({}, { 'app.name': 'é\\' }), `SET "app"."name" TO  E'\\U000000e9\\\\'`)
  assert.equal(between({}, { 'app.name': 'é' }, { ...ANYBODY, isRaw: true }), `SET "app"."name" TO 'é'`)
  assert.equal(between({}, { 'app.é': '1' }), `SELECT pg_catalog.set_config( E'app.\\U000000e9','1',false)`)
  assert.equal(between({ 'app.é': '1' }, {}), `SELECT pg_catalog.set_config( E'app.\\U000000e9',NULL,false)`)
})

test('a literal is safe whatever standard_conforming_strings is', () => {
  assert.equal(quoteText('plain'), "'plain'")
  assert.equal(quoteText("it's"), "'it''s'")
  assert.equal(quoteText('C:\\x'), " E'C:\\\\x'")
  assert.equal(quoteText("\\'"), " E'\\\\'''")
  assert.equal(quoteText(''), "''")
  assert.equal(quoteText('\u{1F600}'), " E'\\U0001f600'")
})
