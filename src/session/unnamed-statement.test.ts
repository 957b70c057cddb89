import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StatementRegistry } from './prepared-statements.ts'
import { UNKNOWN_OWNER, UnnamedStatement } from './unnamed-statement.ts'

const ME = 1
const OTHER = 2
const text = (sql: string): Buffer => Buffer.from(`${sql}\0\0\0`)
const shown = ({ tail }: UnnamedStatement): string | null => tail?.toString().replaceAll('\0', '') ?? null

/** Which is `sql`, and confirmed. */
function statementOf(sql: string): UnnamedStatement {
  const statement = new UnnamedStatement(new StatementRegistry())
  parse(statement, sql, OTHER)
  statement.answered()
  return statement
}

function parse(statement: UnnamedStatement, sql: string, owner = ME): void {
  statement.begin(owner)
  statement.keep(text(sql), null)
}

test('it is known again by all of its bytes', () => {
  const statement = new UnnamedStatement(new StatementRegistry())
  const knows = (tail: string): boolean => statement.is(Buffer.from(`--${tail}--`), 2, 2 + tail.length)
  assert.equal(knows(''), false)
  statement.keep(text('select 1'), null)
  assert.equal(knows('select 1\0\0\0'), true)
  for (const other of ['select 2\0\0\0', 'Select 1\0\0\0', 'select 1\0\0\x01', 'select 1\0\0', 'select 1\0\0\0\0']) {
    assert.equal(knows(other), false, other)
  }
  statement.keep(text('select 2'), null)
  assert.deepEqual([knows('select 1\0\0\0'), knows('select 2\0\0\0')], [false, true])
  statement.forget(true)
  assert.equal(knows('select 2\0\0\0'), false)
})

test('one that is too long to be seen whole comes in parts, so it is never compared, and its memory is given back', () => {
  const registry = new StatementRegistry()
  const statement = new UnnamedStatement(registry)
  const most = 64 * 1024 * 1024
  statement.keepLong(registry.reserve(most))
  assert.deepEqual([statement.is(Buffer.alloc(0), 0, 0), statement.tail, statement.text?.length], [false, null, most])
  assert.equal(registry.reserve(1), null)
  statement.drop()
  assert.notEqual(registry.reserve(1), null)
})

test('what was skipped has never been: the one before is there, and whose the server connection’s was', () => {
  for (const before of ['one', 'a longer one']) {
    const statement = statementOf(before)
    parse(statement, 'two', OTHER)
    assert.equal(shown(statement), 'two')
    assert.equal(statement.skipped(), OTHER)
    assert.equal(shown(statement), before)
    parse(statement, 'six')
    statement.answered()
    parse(statement, 'ten')
    statement.answered()
    assert.equal(shown(statement), 'ten', 'buffers that are used again are not mixed up')
  }
})

test('of several that are skipped, what was before the first one counts', () => {
  const statement = statementOf('one')
  parse(statement, 'two', OTHER)
  parse(statement, 'six', ME)
  statement.begin(ME)
  statement.drop()
  assert.deepEqual([statement.skipped(), statement.skipped(), statement.skipped()], [null, null, OTHER])
  assert.equal(shown(statement), 'one')
})

test('a Parse that fails has dropped the one before', () => {
  const statement = statementOf('one')
  parse(statement, 'two')
  assert.equal(statement.failed(), 0)
  assert.equal(shown(statement), null)
  const other = statementOf('one')
  parse(other, 'two')
  parse(other, 'six')
  assert.deepEqual([other.failed(), other.skipped(), shown(other)], [null, 0, null])
})

test('a simple query drops it, whatever is skipped before; one that may be skipped itself leaves it in doubt', () => {
  for (const [isCertain, owner] of [
    [true, 0],
    [false, UNKNOWN_OWNER],
  ] as const) {
    const statement = statementOf('one')
    parse(statement, 'two')
    statement.forget(isCertain)
    assert.equal(statement.skipped(), owner)
    assert.equal(shown(statement), null)
  }
})

test('what was answered counts, what is skipped behind it does not', () => {
  const statement = statementOf('one')
  for (const sql of ['two', 'six', 'ten']) parse(statement, sql)
  statement.answered()
  assert.deepEqual([statement.skipped(), statement.skipped()], [null, ME])
  assert.equal(shown(statement), 'two')
})

test('nobody knows what it was before in another process, or when it was a long one', () => {
  const restored = new UnnamedStatement(new StatementRegistry())
  restored.restore(text('one'), null, false, 2)
  restored.answered()
  const long = new UnnamedStatement(new StatementRegistry())
  long.keepLong(null)
  parse(long, 'two')
  for (const statement of [restored, long]) {
    assert.equal(statement.skipped(), UNKNOWN_OWNER)
    assert.equal(shown(statement), null)
  }
})

test('a lost server connection takes what was pending with it', () => {
  const statement = statementOf('one')
  parse(statement, 'two', OTHER)
  statement.abandon()
  parse(statement, 'six', ME)
  assert.equal(statement.skipped(), ME)
  assert.equal(shown(statement), 'two')
})
