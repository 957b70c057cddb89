import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NO_RELATIONS } from '../../shard/database-functions.ts'
import type { RelationRow } from './harmful-relations.ts'
import { type ExaminedFunction, harmlessFunctions } from './harmless-functions.ts'

/** `schema.name`, what it calls, and what tables it writes; null: it may do anything. */
const made = (
  at: string,
  calls: readonly string[] | null,
  relations: readonly string[] = [],
  writes = true,
): ExaminedFunction => {
  const [schema = '', name = ''] = at.split('.')
  const named = (text: string) => {
    const parts = text.split('.')
    return { schema: parts.length > 1 ? parts[0]! : null, name: parts.at(-1)! }
  }
  return {
    oid: at,
    schema,
    name,
    volatility: 'v',
    body: calls === null ? null : { calls: calls.map(named), relations: relations.map(named), writes },
  }
}

const row = (kind: RelationRow['kind'], at: string | null, other: string | null): RelationRow => {
  const [schema = null, name = null] = at?.split('.') ?? []
  return { kind, relation: at, schema, name, other }
}

const verdict = (functions: readonly ExaminedFunction[], rows: readonly RelationRow[] = []) =>
  harmlessFunctions(functions, rows)

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
  assert.deepEqual(found, {
    names: [],
    reading: [],
    qualified: [],
    relations: NO_RELATIONS,
    hidden: ['s.lower'],
  })
  assert.deepEqual(verdict([made('s.lower', []), made('s.a', [])]).names, ['a', 'lower'])
})

test('one with such a name may be meant by the bodies of triggers, whatever they call', () => {
  const { relations } = verdict([made('s.lower', null), made('s.trigger', [])], [row('writing', 's.t', 's.trigger')])
  assert.deepEqual(relations.written, [['s', 't']])
})

test('who writes tables that lead to one that may do anything, may do anything', () => {
  const functions = [
    made('s.trigger', null),
    made('s.a', [], ['t']),
    made('s.b', ['a']),
    made('s.c', [], ['u']),
    made('s.d', [], ['t'], false),
    made('s.e', [], ['other.t']),
  ]
  assert.deepEqual(verdict(functions).names, ['a', 'b', 'c', 'd', 'e'])
  const seen = verdict(functions, [row('writing', 's.t', 's.trigger'), row('writing', 's.u', 's.c')])
  assert.deepEqual(seen.names, ['c', 'd', 'e'])
  assert.deepEqual(seen.hidden, ['s.trigger'])
  assert.deepEqual(seen.relations.written, [['s', 't']])
  assert.deepEqual(verdict(functions, [row('reading', 's.t', null)]).names, ['c', 'e'])
})

test('a trigger that writes a table leads to what its triggers call, over any number of them', () => {
  const functions = [made('s.worst', null), made('s.second', [], ['c']), made('s.first', [], ['b']), made('s.good', [])]
  const { relations, names } = verdict(functions, [
    row('writing', 's.a', 's.first'),
    row('writing', 's.b', 's.second'),
    row('writing', 's.c', 's.worst'),
    row('writing', 's.d', 's.good'),
  ])
  assert.deepEqual(relations.written, [
    ['s', 'a'],
    ['s', 'b'],
    ['s', 'c'],
  ])
  assert.deepEqual(names, ['good'])
})

test('where an operator or a type calls one that may do anything, so may all', () => {
  const found = verdict([made('s.a', null), made('s.b', [])], [row('everything', null, 's.a')])
  assert.equal(found.relations.everything, true)
  assert.deepEqual(found.names, [])
  assert.deepEqual(found.hidden, ['s.a'])
})
