import assert from 'node:assert/strict'
import { test } from 'node:test'
import { millisecondsOf } from './connection-facts.ts'

test('a statement_timeout is read as PostgreSQL reads it', () => {
  const texts = ['250', '250ms', '5s', '1.5 min', '2h', '', 'soon', undefined]
  assert.deepEqual(texts.map(millisecondsOf), [250, 250, 5000, 90_000, 7_200_000, 0, 0, 0])
})
