import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pinReasons } from '../memory/client-slots.ts'
import { PassingText } from './passing-text.ts'

const PIECE = 65_536

/** Pins of a text that passes in pieces. */
function pinsOf(text: Buffer): string {
  const passing = new PassingText()
  for (let at = 0; at < text.length || at === 0; at += PIECE) {
    const end = Math.min(text.length, at + PIECE)
    passing.pass(text, at, end, end === text.length)
  }
  return pinReasons(passing.facts.pins).join(' ')
}

const insert = (rows: number): string =>
  `insert into t (a, b, c) values ${Array.from({ length: rows }, (_, n) => `(${n}, 'it''s row ${n}', lower('X'))`).join(', ')}`

test('an INSERT of many rows pins nothing', () => {
  assert.equal(pinsOf(Buffer.from(insert(40_000))), '')
})

test('what is at its very end is seen', () => {
  assert.equal(pinsOf(Buffer.from(`${insert(40_000)} returning my_function(a)`)), 'unknownFunction')
  assert.equal(pinsOf(Buffer.from(`${insert(40_000)}; create temp table x (a int)`)), 'temporaryObject')
})

test('a string of megabytes is one string, whatever it holds', () => {
  const long = "; create temp table x (a int); ''".repeat(60_000)
  assert.equal(pinsOf(Buffer.from(`insert into t values ('${long}')`)), '')
  assert.equal(pinsOf(Buffer.from(`insert into t values ($a$${long}$a$); listen x`)), 'listen')
})

test('no more is kept than a few kilobytes, however long the text is', () => {
  const passing = new PassingText()
  const piece = Buffer.from(", (1, 'a string', now())".repeat(3000)).subarray(0, PIECE)
  passing.pass(Buffer.from('insert into t values (0)'), 0, 24, false)
  global.gc?.()
  const before = process.memoryUsage()
  for (let n = 0; n < 1600; n++) passing.pass(piece, 0, piece.length, false)
  const after = process.memoryUsage()
  const grown = after.arrayBuffers + after.external - before.arrayBuffers - before.external
  assert.ok(grown < 64 << 20, `100 MB have passed, ${grown >> 20} MB were kept`)
})
