import assert from 'node:assert/strict'
import { test } from 'node:test'
import pg from 'pg'
import { describeProbeFailure } from './probe-failure.ts'

function databaseError(code: string, message: string): pg.DatabaseError {
  const error = new pg.DatabaseError(message, message.length, 'error')
  error.code = code
  return error
}

function systemError(code: string): Error {
  return Object.assign(new Error(`connect ${code} 10.0.0.1:5432`), { code })
}

test('a full server is alive', () => {
  const { kind, reason } = describeProbeFailure(databaseError('53300', 'sorry, too many clients already'), false)
  assert.equal(kind, 'busy')
  assert.equal(reason, 'sorry, too many clients already (SQLSTATE 53300)')
})

test('a server that refuses the monitor’s login is told apart from one that does not serve', () => {
  for (const code of ['28P01', '28000', '3D000', '42501']) {
    assert.equal(describeProbeFailure(databaseError(code, 'no'), false).kind, 'locked-out', code)
  }
  for (const code of ['57P01', 'XX000']) {
    assert.equal(describeProbeFailure(databaseError(code, 'no'), false).kind, 'failed', code)
  }
})

test('a server that starts up or shuts down says so, and one that gave up on our question is alive', () => {
  const kindOf = (code: string) => describeProbeFailure(databaseError(code, 'no'), false).kind
  assert.deepEqual([kindOf('57P03'), kindOf('57014')], ['starting', 'busy'])
})

test('errors of the network are phrases', () => {
  assert.equal(describeProbeFailure(systemError('ECONNREFUSED'), false).reason, 'connection refused')
  assert.equal(
    describeProbeFailure(new AggregateError([systemError('EHOSTUNREACH'), systemError('ECONNRESET')]), false).reason,
    'host unreachable; connection reset',
  )
  assert.equal(describeProbeFailure(systemError('EWHATEVER'), false).reason, 'connect EWHATEVER 10.0.0.1:5432')
})
