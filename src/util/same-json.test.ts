import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isSameJson } from './same-json.ts'

test('what JSON says the same of is the same, in any order of members', () => {
  for (const value of [null, 0, 'x', true, [], {}, [1, [2, { a: null }]], { a: 1, b: { c: [] } }])
    assert.ok(isSameJson(value, structuredClone(value)), JSON.stringify(value))
  assert.ok(isSameJson({ a: 1, b: [2] }, { b: [2], a: 1 }))
})

test('a difference at any depth, a missing member or another kind of value is one', () => {
  const different: readonly (readonly [unknown, unknown])[] = [
    [1, 2],
    [0, null],
    [null, {}],
    [[], {}],
    [{}, []],
    [[1], [1, 2]],
    [{ a: 1 }, { b: 1 }],
    [{ a: undefined }, { b: 1 }],
    [{ a: 1 }, { a: 1, b: 1 }],
    [{ a: { b: [1, { c: 1 }] } }, { a: { b: [1, { c: 2 }] } }],
    ['1', 1],
  ]
  for (const [one, other] of different) {
    assert.equal(isSameJson(one, other), false, JSON.stringify([one, other]))
    assert.equal(isSameJson(other, one), false, JSON.stringify([other, one]))
  }
})
