import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isSettable, ParameterRegistry, type ParameterSet } from './parameters.ts'

const ANYBODY = { user: 'app', isSuperuser: false, isRaw: false }
const SUPERUSER = { user: 'app', isSuperuser: true, isRaw: false }
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

test('changes set and take away', () => {
  const registry = new ParameterRegistry()
  const base = registry.of([['timezone', 'UTC']])
  const changed = registry.change(base, [
    ['timezone', 'CET'],
    ['app.tenant', '1'],
    ['is_superuser', 'on'],
  ])
  assert.deepEqual(entriesOf(changed), [
    ['app.tenant', '1'],
    ['timezone', 'CET'],
  ])
  assert.deepEqual(entriesOf(registry.change(changed, [['app.tenant', null]])), [['timezone', 'CET']])
  assert.equal(registry.change(changed, [['unknown', null]]), changed)
  assert.equal(registry.change(changed, []), changed)
  const there = registry.change(changed, [
    ['app.tenant', null],
    ['timezone', 'UTC'],
  ])
  assert.equal(there, base)
})

test('of several changes of one name the last counts', () => {
  const registry = new ParameterRegistry()
  const base = registry.of([['timezone', 'UTC']])
  const there = registry.change(base, [
    ['timezone', 'CET'],
    ['timezone', 'UTC'],
    ['a.b', '1'],
    ['a.b', null],
  ])
  assert.equal(there, base)
})

test('the way from one set to another is remembered, for superusers and others apart', () => {
  const registry = new ParameterRegistry()
  const from = registry.of([['role', 'a']])
  const to = registry.of([['work_mem', '1MB']])
  for (let round = 0; round < 2; round++) {
    assert.equal(registry.difference(from, from, ANYBODY), '')
    assert.equal(registry.difference(from, to, ANYBODY), `RESET "role";SET "work_mem" TO '1MB'`)
    assert.equal(
      registry.difference(from, to, SUPERUSER),
      `RESET "session_authorization";RESET "role";SET "work_mem" TO '1MB';RESET "role"`,
    )
  }
})

test('a sweep forgets sets that nobody uses, and keeps the identity of the others', () => {
  const registry = new ParameterRegistry()
  const used = registry.of([['a', '1']])
  const unused = registry.with(used, 'a', '2')
  assert.equal(registry.difference(used, unused, ANYBODY), `SET "a" TO '2'`)
  registry.sweep(new Set([used]))
  assert.equal(registry.size, 1)
  assert.equal(used.successors.size, 0)
  assert.equal(used.differences.size, 0)
  assert.equal(registry.of([['a', '1']]), used)
  const again = registry.with(used, 'a', '2')
  assert.notEqual(again, unused)
  assert.notEqual(again.id, unused.id)
  assert.equal(registry.difference(used, again, ANYBODY), `SET "a" TO '2'`)
})

test('a set that was swept while somebody still had it only costs a comparison, not a wrong answer', () => {
  const registry = new ParameterRegistry()
  const old = registry.of([['a', '1']])
  registry.sweep(new Set())
  assert.equal(registry.difference(old, registry.of([['a', '1']]), ANYBODY), '')
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
