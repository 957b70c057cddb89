import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { RouterError } from '../../errors.ts'
import { splitStatements } from './tokens.ts'

const values = (query: string): string[][] => splitStatements(query).map((tokens) => tokens.map(({ value }) => value))

test('statements are split at semicolons outside quotes and comments', () => {
  assert.deepEqual(values(`SHOW a; pause "x;y" ; kill 'z;' -- ; no\n;/* ; /* ; */ */ ;`), [
    ['show', 'a'],
    ['pause', 'x;y'],
    ['kill', 'z;'],
  ])
  assert.deepEqual(values('explain $$a;b$$; show $x$c;$$d$x$'), [
    ['explain', 'a;b'],
    ['show', 'c;$$d'],
  ])
})

test('words are lower case, quoted names keep their case and their quotes undoubled', () => {
  assert.deepEqual(splitStatements(`Pause "My ""App""" 'it''s' 42 $ Größe`)[0], [
    { kind: 'word', value: 'pause' },
    { kind: 'quoted', value: 'My "App"' },
    { kind: 'string', value: "it's" },
    { kind: 'number', value: '42' },
    { kind: 'symbol', value: '$' },
    { kind: 'word', value: 'größe' },
  ])
})

test('what is never closed is a syntax error', () => {
  for (const query of ['PAUSE "x', "PAUSE 'x", 'PAUSE /* x', 'PAUSE /* /* */']) {
    assert.throws(
      () => splitStatements(query),
      (error) => error instanceof RouterError && error.sqlstate === '42601',
    )
  }
})

test('any text is split or refused, never anything else', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (query) => {
      try {
        splitStatements(query)
      } catch (error) {
        assert.ok(error instanceof RouterError)
      }
    }),
  )
})
