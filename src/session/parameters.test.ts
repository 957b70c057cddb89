import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isSettable, ParameterRegistry, type ParameterSet, quoteText } from './parameters.ts'

const entriesOf = (set: ParameterSet): [string, string][] => [...set.values]

test('sets with the same values are the same object, whatever the order and the case of names', () => {
  const registry = new ParameterRegistry()
  const one = registry.of([
    ['TimeZone', 'UTC'],
    ['application_name', 'psql'],
  ])
  const other = registry.of([
    ['APPLICATION_NAME', 'psql'],
    ['timezone', 'UTC'],
  ])
  assert.equal(one, other)
  assert.deepEqual(entriesOf(one), [
    ['application_name', 'psql'],
    ['timezone', 'UTC'],
  ])
  assert.equal(registry.size, 1)
  assert.notEqual(registry.of([['timezone', 'utc']]), one)
})

test('of a name given twice the last value counts', () => {
  const registry = new ParameterRegistry()
  const found = registry.of([
    ['datestyle', 'ISO'],
    ['DateStyle', 'German'],
  ])
  assert.deepEqual(entriesOf(found), [['datestyle', 'German']])
})

test('names and values cannot be confused with each other', () => {
  const registry = new ParameterRegistry()
  const one = registry.of([
    ['a.a', 'b'],
    ['c.c', 'd'],
  ])
  assert.notEqual(registry.of([['a.a', 'b\tc.c\td']]), one)
  assert.notEqual(
    registry.of([
      ['a.a', ''],
      ['b.b', 'c.cd'],
    ]),
    one,
  )
})

test('what no client can set is in no set and is never sent', () => {
  const registry = new ParameterRegistry()
  const base = registry.of([['timezone', 'UTC']])
  for (const name of [
    'server_version',
    'server_encoding',
    'integer_datetimes',
    'is_superuser',
    'session_authorization',
    'in_hot_standby',
    'IN_HOT_STANDBY',
  ]) {
    assert.equal(isSettable(name), false)
    assert.equal(registry.with(base, name, 'x'), base)
    assert.equal(
      registry.of([
        ['timezone', 'UTC'],
        [name, 'x'],
      ]),
      base,
    )
    assert.equal(registry.merge(base, new Map([[name, 'x']])), base)
  }
  assert.equal(isSettable('application_name'), true)
})

test('one more value makes another set, the same value the same one, and the answer is remembered', () => {
  const registry = new ParameterRegistry()
  const base = registry.of([['timezone', 'UTC']])
  assert.equal(registry.with(base, 'TimeZone', 'UTC'), base)
  const changed = registry.with(base, 'TimeZone', 'CET')
  assert.deepEqual(entriesOf(changed), [['timezone', 'CET']])
  assert.equal(registry.with(base, 'timezone', 'CET'), changed)
  assert.equal(registry.with(base, 'TimeZone', 'CET'), changed)
  assert.equal(registry.with(changed, 'timezone', 'UTC'), base)
  assert.deepEqual(entriesOf(base), [['timezone', 'UTC']])
  assert.deepEqual(entriesOf(registry.with(base, 'app.tenant', '')), [
    ['app.tenant', ''],
    ['timezone', 'UTC'],
  ])
})

test('overrides replace and add, none leaves the set as it is', () => {
  const registry = new ParameterRegistry()
  const base = registry.of([
    ['timezone', 'UTC'],
    ['datestyle', 'ISO'],
  ])
  assert.equal(registry.merge(base, new Map()), base)
  const merged = registry.merge(
    base,
    new Map([
      ['TIMEZONE', 'CET'],
      ['search_path', 'app'],
    ]),
  )
  assert.deepEqual(entriesOf(merged), [
    ['datestyle', 'ISO'],
    ['search_path', 'app'],
    ['timezone', 'CET'],
  ])
})

test('taken back, a value is that of the base again, or none', () => {
  const registry = new ParameterRegistry()
  const base = registry.of([['timezone', 'UTC']])
  const changed = registry.merge(
    base,
    new Map([
      ['timezone', 'CET'],
      ['app.tenant', '1'],
    ]),
  )
  assert.deepEqual(entriesOf(registry.without(changed, ['timezone'], base)), [
    ['app.tenant', '1'],
    ['timezone', 'UTC'],
  ])
  assert.deepEqual(entriesOf(registry.without(changed, ['app.tenant'], base)), [['timezone', 'CET']])
  assert.equal(registry.without(changed, ['app.tenant', 'timezone', 'unknown'], base), base)
  assert.equal(registry.without(changed, [], base), changed)
})

test('the way from one set to another is SQL that says nothing about what they share', () => {
  const registry = new ParameterRegistry()
  const difference = (from: Record<string, string>, to: Record<string, string>): string =>
    registry.difference(registry.of(Object.entries(from)), registry.of(Object.entries(to)))
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
  for (const [from, to, sql] of table) {
    assert.equal(difference(from, to), sql)
    assert.equal(difference(from, to), sql, 'the same when it is remembered')
  }
})

test('a literal is safe whatever standard_conforming_strings is', () => {
  assert.equal(quoteText('plain'), "'plain'")
  assert.equal(quoteText("it's"), "'it''s'")
  assert.equal(quoteText('C:\\x'), " E'C:\\\\x'")
  assert.equal(quoteText("\\'"), " E'\\\\'''")
  assert.equal(quoteText(''), "''")
})

test('a sweep forgets sets that nobody uses, and keeps the identity of the others', () => {
  const registry = new ParameterRegistry()
  const used = registry.of([['a', '1']])
  const unused = registry.with(used, 'a', '2')
  assert.equal(registry.difference(used, unused), `SET "a" TO '2'`)
  registry.sweep(new Set([used]))
  assert.equal(registry.size, 1)
  assert.equal(used.successors.size, 0)
  assert.equal(used.differences.size, 0)
  assert.equal(registry.of([['a', '1']]), used)
  const again = registry.with(used, 'a', '2')
  assert.notEqual(again, unused)
  assert.notEqual(again.id, unused.id)
  assert.equal(registry.difference(used, again), `SET "a" TO '2'`)
})

test('a set that was swept while somebody still had it only costs a comparison, not a wrong answer', () => {
  const registry = new ParameterRegistry()
  const old = registry.of([['a', '1']])
  registry.sweep(new Set())
  assert.equal(registry.difference(old, registry.of([['a', '1']])), '')
})

test('a registry is crowded past some thousands of sets, and not after its sweep', () => {
  const registry = new ParameterRegistry()
  for (let value = 0; value < 4096; value++) registry.of([['a', String(value)]])
  assert.equal(registry.crowded, false)
  registry.of([['b', '']])
  assert.equal(registry.crowded, true)
  registry.sweep(new Set())
  assert.equal(registry.crowded, false)
  assert.equal(registry.size, 0)
})
