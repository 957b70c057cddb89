import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LONGEST_PARSED, PostgresParser } from './postgres-parser.ts'

const parser = await PostgresParser.load()

/** As long as a text may be. */
const nested = (before: string, opening: string, closing: string): string => {
  const times = Math.floor((LONGEST_PARSED - before.length - 1) / (opening.length + closing.length))
  return `${before}${opening.repeat(times)}1${closing.repeat(times)}`
}

test('a text that the grammar takes has a tree, one that it does not is refused', () => {
  const parsed = parser.parse('select 1; select 2')
  assert.equal(parsed.kind, 'parsed')
  assert.equal(parsed.kind === 'parsed' && (parsed.tree.stmts as unknown[]).length, 2)
  assert.equal(parser.parse('selct 1').kind, 'refused')
  assert.equal(parser.parse("select 'x").kind, 'refused')
})

test('an empty text and a very long one are not decided', () => {
  assert.equal(parser.parse('').kind, 'undecided')
  assert.equal(parser.parse(`select ${'x'.repeat(LONGEST_PARSED)}`).kind, 'undecided')
  assert.equal(parser.parse(`select '${'é'.repeat(LONGEST_PARSED / 2)}'`).kind, 'undecided')
})

test('no nesting that fits into the longest text exhausts anything', () => {
  const texts = [
    nested('select ', '(', ')'),
    nested('select ', 'f(', ')'),
    nested('select ', 'array[', ']'),
    nested('select ', 'row(', ')'),
    nested('select ', 'not ', ''),
    nested('select ', '- ', ''),
    nested('select 1', '+1', ''),
    nested('select 1', '::a', ''),
    nested('select 1', ' union select 1', ''),
    nested('select 1 from a', ' join a on x', ''),
    nested('select ', 'exists(select ', ')'),
    nested('explain ', 'explain ', ''),
  ]
  for (const text of texts) assert.notEqual(parser.parse(text).kind, 'undecided', text.slice(0, 40))
  assert.equal(parser.brokenBy, null)
  assert.equal(parser.parse('select 1').kind, 'parsed')
})

test('a body in PL/pgSQL is parsed as well', () => {
  const body = (source: string): string => `create function f() returns int language plpgsql as $$ ${source} $$`
  assert.equal(parser.parseFunction(body('begin return 1; end')).kind, 'parsed')
  assert.equal(parser.parseFunction(body('begin retrn 1; end')).kind, 'refused')
  assert.equal(parser.brokenBy, null)
})
