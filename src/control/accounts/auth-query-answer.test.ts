import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readAnswer } from './auth-query-answer.ts'

const columns = ['rolname', 'rolpassword']
const hash = 'md5a3556571e93b0d20722ba62be61e8c2d'

test('one row of the user is the user and its verifier', () => {
  assert.deepEqual(readAnswer('app', { columns, rows: [['app', hash]] }), {
    kind: 'found',
    name: 'app',
    verifier: { kind: 'md5', hash },
  })
})

test('a user whose password is null exists and has no verifier', () => {
  const answer = readAnswer('app', { columns, rows: [['app', null]] })
  assert.deepEqual(answer, { kind: 'found', name: 'app', verifier: null })
})

test('no row means that there is no such user', () => {
  assert.deepEqual(readAnswer('app', { columns, rows: [] }), { kind: 'not-found' })
})

test('columns after the second are not looked at', () => {
  const answer = readAnswer('app', { columns: [...columns, 'note'], rows: [['app', hash, 'x']] })
  assert.ok(typeof answer !== 'string' && answer.kind === 'found')
})

const mistakes: readonly (readonly [string, readonly string[], readonly (readonly (string | null)[])[], RegExp])[] = [
  ['no column', [], [], /returns 0 column\(s\); it must return two/],
  ['one column', ['rolpassword'], [[hash]], /returns 1 column\(s\)/],
  [
    'two rows',
    columns,
    [
      ['app', hash],
      ['app', hash],
    ],
    /returned 2 rows for user "app"; add a WHERE clause/,
  ],
  ['the row of another user', columns, [['admin', hash]], /the row of "admin" for user "app"/],
  ['a user that differs in case', columns, [['APP', hash]], /the row of "APP"/],
  ['no user name', columns, [[null, hash]], /the row of null/],
  ['a clear-text password', columns, [['app', 'secret']], /neither "SCRAM-SHA-256\$…" nor "md5…"/],
  ['an empty password', columns, [['app', '']], /neither/],
]
for (const [name, given, rows, sentence] of mistakes) {
  test(`an answer with ${name} is a mistake in the query, and says so`, () => {
    const answer = readAnswer('app', { columns: given, rows })
    assert.ok(typeof answer === 'string')
    assert.match(answer, sentence)
    assert.ok(!answer.includes('secret'), 'a password is never in a message')
  })
}
