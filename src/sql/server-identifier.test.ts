import assert from 'node:assert/strict'
import { test } from 'node:test'
import { quoteIdentifier, serverIdentifier } from './server-identifier.ts'

test('a name is folded unless it is quoted, and only its ASCII letters', () => {
  assert.equal(serverIdentifier('News'), 'news')
  assert.equal(serverIdentifier('ÄRGER_X'), 'Ärger_x')
  assert.equal(serverIdentifier('"News"'), 'News')
  assert.equal(serverIdentifier('"a""b"'), 'a"b')
})

test('a name is cut at 63 bytes, behind a whole character', () => {
  assert.equal(serverIdentifier('x'.repeat(63)), 'x'.repeat(63))
  assert.equal(serverIdentifier('x'.repeat(64)), 'x'.repeat(63))
  assert.equal(serverIdentifier('é'.repeat(32)), 'é'.repeat(31))
  assert.equal(serverIdentifier('€'.repeat(21)), '€'.repeat(21))
  assert.equal(serverIdentifier(`x${'€'.repeat(21)}`), `x${'€'.repeat(20)}`)
  assert.equal(serverIdentifier(`"${'x'.repeat(70)}"`), 'x'.repeat(63))
})

test('a quoted name means the same name', () => {
  for (const name of ['a', 'A b', 'a"b', '', '""']) assert.equal(serverIdentifier(quoteIdentifier(name)), name)
})
