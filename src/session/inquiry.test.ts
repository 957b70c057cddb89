import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PIN } from '../memory/client-slots.ts'
import { type Inquiry, inquirySql, readFindings } from './inquiry.ts'

const QUIET: Inquiry = {
  customs: [],
  settings: false,
  named: [],
  timeout: null,
  leftovers: false,
  statements: false,
  scan: false,
}
const hex = (text: string): string => Buffer.from(text).toString('hex')

test('settings of applications are asked for by name, and nothing else is looked at', () => {
  const sql = inquirySql({ ...QUIET, customs: ['app.a', 'app.é'] })
  assert.match(sql, /^VALUES \('c','6170702e61',.*current_setting\('app\.a',true\).*\),\('c','6170702ec3a9',/)
  assert.doesNotMatch(sql, /pg_settings/)
  assert.match(sql, /^[ -~]*$/, 'any client_encoding will do')
})

test('other settings are listed, the role is asked for, and what is hidden makes it fail', () => {
  const sql = inquirySql({ ...QUIET, settings: true, named: ['work_mem'] })
  assert.match(sql, /FROM pg_catalog\.pg_settings WHERE source OPERATOR\(pg_catalog\.=\) 'session'/)
  assert.match(sql, /\('r','',.*current_setting\('role',true\)/)
  assert.match(sql, /\('n','',.*current_setting\('work_mem',true\)/)
  assert.doesNotMatch(sql, /pg_locks|pg_proc/)
})

test('leftovers and functions are looked for when that is asked', () => {
  const sql = inquirySql({ ...QUIET, settings: true, leftovers: true, scan: true })
  for (const where of [
    'pg_my_temp_schema',
    'pg_locks',
    'pg_cursors',
    'pg_prepared_statements',
    'pg_listening_channels',
  ]) {
    assert.ok(sql.includes(where), where)
  }
  for (const where of ['prosrc', 'pg_policy', 'pg_db_role_setting']) assert.ok(sql.includes(where), where)
})

test('every name is qualified', () => {
  const all = { settings: true, leftovers: true, statements: true, scan: true }
  const sql = inquirySql({ ...QUIET, ...all, customs: ['a.b'], named: ['x'] })
  const bare = sql.replaceAll(/'[^']*'/g, '').matchAll(/(?<![\w.])(pg_\w+|current_setting|encode|convert_to)\b(?!\.)/g)
  assert.deepEqual(
    [...bare].map(([name]) => name).filter((name) => name !== 'pg_catalog'),
    [],
  )
})

test('an answer is read', () => {
  const inquiry = { ...QUIET, customs: ['app.a', 'app.b'], settings: true, leftovers: true }
  const findings = readFindings(inquiry, [
    ['s', hex('DateStyle'), hex('German, DMY')],
    ['c', hex('app.a'), hex('é')],
    ['c', hex('app.b'), null],
    ['c', hex('app.found'), hex('')],
    ['r', '', hex('none')],
    ['n', '', hex('4MB')],
    ['p', 'advisoryLock', null],
    ['p', 'holdCursor', null],
  ])
  assert.deepEqual([...(findings?.settings ?? [])], [['datestyle', 'German, DMY']])
  assert.deepEqual(
    [...(findings?.customs ?? [])],
    [
      ['app.a', 'é'],
      ['app.b', null],
      ['app.found', ''],
    ],
  )
  assert.equal(findings?.role, 'none')
  assert.equal(findings?.pins, PIN.advisoryLock | PIN.holdCursor)
})

test('what is no answer to the question is none', () => {
  const inquiry = { ...QUIET, customs: ['app.a'] }
  assert.equal(readFindings(inquiry, []), null)
  assert.equal(readFindings(inquiry, [['x', '', '']]), null)
  assert.equal(readFindings(inquiry, [['c']]), null)
  assert.equal(readFindings(inquiry, [['c', hex('app.other'), null]]), null)
  assert.equal(readFindings({ ...inquiry, settings: true }, [['c', hex('app.a'), null]]), null)
  assert.equal(readFindings(inquiry, [['c', hex('app.a'), null]])?.settings, null)
})

test('a session without time for its statements is asked all the same, and keeps its time', () => {
  const inquiry = { ...QUIET, settings: true, timeout: '5ms' }
  assert.match(inquirySql(inquiry), /^SET LOCAL statement_timeout TO 0;SELECT /)
  const findings = readFindings(inquiry, [
    ['s', hex('statement_timeout'), hex('0')],
    ['s', hex('lock_timeout'), hex('7')],
    ['r', '', hex('none')],
  ])
  assert.deepEqual([...(findings?.settings ?? [])].sort(), [
    ['lock_timeout', '7'],
    ['statement_timeout', '5ms'],
  ])
})
