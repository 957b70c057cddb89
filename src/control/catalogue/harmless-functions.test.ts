import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ExaminedFunction, harmlessFunctions } from './harmless-functions.ts'

/** `schema.name`, what it calls, and whether it uses tables; null: it may do anything. */
const made = (at: string, calls: readonly string[] | null, usesRelations = false): ExaminedFunction => {
  const [schema = '', name = ''] = at.split('.')
  const called = (text: string) => {
    const parts = text.split('.')
    return { schema: parts.length > 1 ? parts[0]! : null, name: parts.at(-1)! }
  }
  return {
    oid: at,
    schema,
    name,
    volatility: 'v',
    body: calls === null ? null : { calls: calls.map(called), usesRelations },
  }
}

const verdict = (functions: readonly ExaminedFunction[], unseen: readonly string[] = [], isQuiet = true) =>
  harmlessFunctions(functions, new Set(unseen), isQuiet)

test('who calls nothing but harmless functions is harmless, also in a circle', () => {
  const { names } = verdict([made('s.a', []), made('s.b', ['a']), made('s.c', ['d']), made('s.d', ['c', 's.a'])])
  assert.deepEqual(names, ['a', 'b', 'c', 'd'])
})

test('who calls one that may do anything, over any number of others, may do anything', () => {
  const { names } = verdict([made('s.a', null), made('s.b', ['a']), made('s.c', ['s.b']), made('s.d', [])])
  assert.deepEqual(names, ['d'])
})

test('who calls what is not there may do anything: it may come', () => {
  assert.deepEqual(verdict([made('s.a', ['gone']), made('s.b', ['t.c']), made('s.c', [])]).names, ['c'])
})

test('a name without schema is all functions of that name', () => {
  const found = verdict([
    made('s.a', []),
    made('t.a', null),
    made('s.b', ['a']),
    made('s.c', ['s.a']),
    made('s.d', ['t.a']),
  ])
  assert.deepEqual(found.names, ['c'])
  assert.deepEqual(found.qualified, [['s', 'a']])
})

test('overloads share their fate', () => {
  const found = verdict([made('s.a', []), { ...made('s.a', null), oid: 'other' }])
  assert.deepEqual(found.names, [])
  assert.deepEqual(found.qualified, [])
})

test('what is harmless and not volatile under any name only reads', () => {
  const stable = { ...made('s.a', []), volatility: 's' }
  const { reading } = verdict([
    stable,
    made('s.b', []),
    { ...made('s.c', []), volatility: 'i' },
    made('t.c', []),
    { ...made('s.d', null), volatility: 'i' },
  ])
  assert.deepEqual(reading, ['a'])
})

test('one that may do anything and has the name of a built-in one spoils all', () => {
  const found = verdict([made('s.lower', null), made('s.a', [])])
  assert.deepEqual(found, { names: [], reading: [], qualified: [], hidden: ['s.lower'] })
  assert.deepEqual(verdict([made('s.lower', []), made('s.a', [])]).names, ['a', 'lower'])
})

test('where triggers or views may do anything, so may whoever uses tables', () => {
  const functions = [made('s.trigger', null), made('s.a', [], true), made('s.b', ['a']), made('s.c', [])]
  assert.deepEqual(verdict(functions).names, ['a', 'b', 'c'])
  const seen = verdict(functions, ['s.trigger', 's.c'])
  assert.deepEqual(seen.names, ['c'])
  assert.deepEqual(seen.hidden, ['s.trigger'])
  assert.deepEqual(verdict(functions, [], false).names, ['c'])
})
