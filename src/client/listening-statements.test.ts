import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StatementFacts } from '../sql/statement-facts.ts'
import { concernsListening, ListeningStatements } from './listening-statements.ts'

const facts = new StatementFacts()

function read(sql: string): StatementFacts {
  const bytes = Buffer.from(sql)
  facts.read(bytes, 0, bytes.length)
  return facts
}

function note(statements: ListeningStatements, name: string, sql: string): void {
  statements.note(Buffer.from(`${name}\0`), 0, name.length, read(sql))
}

function bound(statements: ListeningStatements, portal: string, name: string): readonly string[] | null {
  const body = Buffer.from(`${portal}\0${name}\0\0\0`)
  return statements.bound(body, 0, body.length)
}

test('LISTEN, UNLISTEN and DISCARD ALL change what a session listens to', () => {
  for (const sql of ['listen a', 'UNLISTEN a', 'unlisten *', 'DISCARD ALL', 'select 1; listen a']) {
    assert.equal(concernsListening(read(sql)), true, sql)
  }
  for (const sql of ['notify a', "select pg_notify('listen', 'x')", 'discard temp', '-- listen a']) {
    assert.equal(concernsListening(read(sql)), false, sql)
  }
})

test('the channels of a text are those of all its LISTENs', () => {
  assert.deepEqual(read('LISTEN One; UNLISTEN two; listen "Three"; select 4').channels, ['one', 'Three'])
  assert.deepEqual(read('select 1').channels, [])
  assert.deepEqual(read(`listen ${'x'.repeat(70)}`).channels, ['x'.repeat(63)])
})

test('a statement that was prepared listens when it is bound', () => {
  const statements = new ListeningStatements()
  note(statements, 's1', 'select 1')
  assert.equal(statements.isEmpty, true)
  note(statements, 's1', 'listen a')
  note(statements, '', 'unlisten *')
  assert.deepEqual(bound(statements, 'portal', 's1'), ['a'])
  assert.deepEqual(bound(statements, '', ''), [])
  assert.equal(bound(statements, '', 's2'), null)
  note(statements, '', 'select 1')
  assert.equal(bound(statements, '', ''), null)
})

test('a Bind that is cut short names nothing', () => {
  const statements = new ListeningStatements()
  note(statements, 's1', 'listen a')
  const body = Buffer.from('portal\0s1\0')
  for (let end = 0; end < body.length; end += 1) assert.equal(statements.bound(body, 0, end), null)
})
