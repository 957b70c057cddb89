import assert from 'node:assert/strict'
import { test } from 'node:test'
import { textEnd } from './message-type.ts'

test('a text ends at its NUL, which has to be there', () => {
  const bytes = Buffer.from('ab\0c\0')
  assert.deepEqual(
    [textEnd(bytes, 0, 5), textEnd(bytes, 2, 5), textEnd(bytes, 3, 5), textEnd(bytes, 3, 4), textEnd(bytes, 0, 2)],
    [2, 2, 4, -1, -1],
  )
})
