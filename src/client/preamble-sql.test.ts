import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ParameterRegistry } from '../session/parameters.ts'
import { isMeantToFail, preambleSql } from './preamble-sql.ts'

const registry = new ParameterRegistry()
const NOTHING = { changes: '', forgetsSequences: false, losesTransaction: false }

test('a server connection that lacks nothing is told nothing', () => {
  assert.equal(preambleSql(registry.of([]), NOTHING), '')
})

test('changes are a transaction of their own, ahead of what must not be in one', () => {
  const sql = preambleSql(registry.of([]), { changes: "SET a = '1'", forgetsSequences: true, losesTransaction: true })
  assert.match(sql, /^BEGIN ISOLATION LEVEL READ COMMITTED;SET a = '1';COMMIT;DISCARD SEQUENCES;BEGIN;ROLLBACK TO SAVE/)
})

test('the time that others have for their statements does not count for them', () => {
  const parameters = registry.of([['statement_timeout', '1ms']])
  const sql = preambleSql(parameters, { ...NOTHING, changes: "SET a = '1'" })
  assert.match(sql, /^BEGIN[^;]*;SET LOCAL statement_timeout[^;]*;SET a = '1';COMMIT$/)
})

test('only the missing savepoint is the failure of a lost transaction', () => {
  const fields = { severity: 'ERROR', message: '' } as const
  assert.equal(isMeantToFail({ ...fields, sqlstate: '3B001' }), true)
  assert.equal(isMeantToFail({ ...fields, sqlstate: '42704' }), false)
})
