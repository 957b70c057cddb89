import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openPlane } from '../plane/plane.fixture.ts'
import { SessionState } from './session-state.ts'
import { StatementBook } from './statement-book.ts'

const bytes = (text: string): Buffer => Buffer.from(text)

test('the unnamed statement is known again by all of its bytes', (t) => {
  const { plane } = openPlane(t)
  const settings = new SessionState(plane.parameters, { onPins: () => {} })
  const book = new StatementBook(plane, { server: null, serial: 1, settings })
  const knows = (text: string): boolean => book.isUnnamed(bytes(`--${text}--`), 2, 2 + text.length)
  assert.equal(knows(''), false)
  book.keepUnnamed(bytes('select 1\0\0\0'), null)
  assert.equal(knows('select 1\0\0\0'), true)
  for (const other of ['select 2\0\0\0', 'Select 1\0\0\0', 'select 1\0\0\x01', 'select 1\0\0', 'select 1\0\0\0\0']) {
    assert.equal(knows(other), false, other)
  }
  book.keepUnnamed(bytes('select 2\0\0\0'), null)
  assert.deepEqual([knows('select 1\0\0\0'), knows('select 2\0\0\0')], [false, true])
  book.forgetUnnamed()
  assert.equal(knows('select 2\0\0\0'), false)
  // One that is too long to be seen whole comes in parts, so it is never compared.
  book.keepLongUnnamed(plane.statements.reserve(4))
  assert.equal(knows('\0\0\0\0'), false)
  book.end()
})
