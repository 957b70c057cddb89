import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StatementShapes } from './statement-shapes.ts'

const FLAGS = 5
const INTENT = 2

/** Shapes that know `text`, which has come twice. */
function knowing(text: string): StatementShapes {
  const shapes = new StatementShapes()
  for (let time = 0; time < 2; time++) {
    assert.equal(knows(shapes, text), false)
    const bytes = Buffer.from(text)
    shapes.remember(bytes, 0, bytes.length, FLAGS, INTENT)
  }
  return shapes
}

/** Behind the text lie bytes that are none of its. */
function knows(shapes: StatementShapes, text: string): boolean {
  const bytes = Buffer.from(`77${text}77`)
  return shapes.find(bytes, 2, bytes.length - 2)
}

test('a text is known again with other numbers in it, of any length', () => {
  const shapes = knowing('SELECT a FROM t1 WHERE b = 12 AND c IN (1, 2.5) LIMIT 10;')
  assert.ok(knows(shapes, 'SELECT a FROM t1 WHERE b = 3456789 AND c IN (11, 30.125) LIMIT 1;'))
  assert.deepEqual([shapes.flags, shapes.intent], [FLAGS, INTENT])
})

test('a text is known when its shape has come twice, not before', () => {
  const shapes = new StatementShapes()
  const bytes = Buffer.from('SELECT 1')
  assert.equal(knows(shapes, 'SELECT 1'), false)
  shapes.remember(bytes, 0, bytes.length, FLAGS, INTENT)
  assert.equal(knows(shapes, 'SELECT 2'), false)
  shapes.remember(bytes, 0, bytes.length, FLAGS, INTENT)
  assert.equal(knows(shapes, 'SELECT 3'), true)
})

for (const [known, others] of [
  ['SELECT a1', ['SELECT a2', 'SELECT a11', 'SELECT a']],
  ['SELECT $1', ['SELECT $2']],
  ['SELECT 1e5', ['SELECT 1e6', 'SELECT 2e5']],
  ['SELECT 0x1', ['SELECT 0x2', 'SELECT 1x1']],
  ['SELECT 1 ', ['SELECT 1', 'SELECT 1  ', 'SELECT  ', 'SELECT 1 2']],
  ['SELECT 1', ['SELECT ', 'SELECT a', 'SELECT 1a', 'SELECT 1;', 'SELECT']],
  ["SELECT E'\\1'", ["SELECT E'\\2'", "SELECT E'\\''"]],
] as const) {
  test(`${known} has a shape of its own`, () => {
    const shapes = knowing(known)
    assert.ok(knows(shapes, known))
    for (const other of others) assert.equal(knows(shapes, other), false, other)
  })
}

test('a text with a NUL in it, and one that is very long, are never known', () => {
  for (const text of ['SELECT 1\0', '', `SELECT '${'x'.repeat(2000)}'`]) assert.equal(knows(knowing(text), text), false)
})

test('a text of which the end is missing is not known, whatever lies behind it', () => {
  const shapes = knowing('SELECT 1 FROM t')
  const bytes = Buffer.from('SELECT 1 FROM t')
  for (let end = 0; end < bytes.length; end++) assert.equal(shapes.find(bytes, 0, end), false)
})

test('shapes that share a place take turns', () => {
  const shapes = new StatementShapes()
  const texts = Array.from({ length: 3000 }, (_, at) => `SELECT c${at} FROM t`)
  for (const text of texts.flatMap((text) => [text, text])) {
    const bytes = Buffer.from(text)
    if (!shapes.find(bytes, 0, bytes.length)) shapes.remember(bytes, 0, bytes.length, text.length, 0)
  }
  const known = texts.filter((text) => {
    const isKnown = knows(shapes, text)
    if (isKnown) assert.equal(shapes.flags, text.length)
    return isKnown
  })
  assert.ok(known.length > 256 && known.length <= 512, `${known.length} of 3000 are known`)
})
