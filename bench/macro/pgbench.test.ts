import assert from 'node:assert/strict'
import { test } from 'node:test'
import { countFailures, parseLogs } from './pgbench.ts'

test('log lines of all threads become finish times and latencies', () => {
  const log = parseLogs(['0 1 250 0 1700000000 500000\n1 1 300 0 1700000000 750000\n', '2 1 100 0 1700000001 0\n'])
  assert.deepEqual([...log.finishedMs], [1_700_000_000_500, 1_700_000_000_750, 1_700_000_001_000])
  assert.deepEqual([...log.latencyUs], [250, 300, 100])
})

test('what a paced transaction waited in pgbench before it started is taken off', () => {
  assert.deepEqual([...parseLogs(['0 1 250 0 1700000000 0 50\n']).latencyUs], [200])
})

test('failed and cut-off lines are left out', () => {
  const log = parseLogs(['0 1 failed 0 1700000000 1\n0 2 serialization 0 1700000000 1\n0 3 99 0 1700'])
  assert.equal(log.latencyUs.length, 0)
  assert.equal(log.finishedMs.length, 0)
})

test('failures are the failed transactions and the clients that gave up', () => {
  const stdout = 'number of transactions actually processed: 10\nnumber of failed transactions: 2 (20.000%)\n'
  const stderr = [
    'pgbench: error: client 3 script 0 aborted in command 1 query 0: FATAL:  server conn crashed?',
    'pgbench: error: client 7 aborted in state 5; perhaps the backend died while processing',
    'pgbench: error: Run was aborted; the above results are incomplete.',
  ].join('\n')
  assert.equal(countFailures(stdout, stderr), 4)
  assert.equal(countFailures('number of failed transactions: 0 (0.000%)', ''), 0)
})
