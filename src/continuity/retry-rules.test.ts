import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type LostWork, retryVerdict } from './retry-rules.ts'

const work: LostWork = {
  sqlstate: null,
  isTied: false,
  inTransaction: false,
  isMidMessage: false,
  isDelivered: false,
  isCancelled: false,
  isRecorded: true,
  runs: 0,
}

test('a read of which nothing was delivered is run again', () => {
  assert.equal(retryVerdict(work, () => true).again, true)
  assert.equal(retryVerdict({ ...work, sqlstate: '57P02' }, () => true).again, true)
})

test('what may write is not', () => {
  assert.deepEqual(
    retryVerdict(work, () => false),
    { again: false, reason: 'it may write' },
  )
})

for (const [what, changes] of [
  ['a session that is tied to its server connection', { isTied: true }],
  ['a transaction of the client', { inTransaction: true }],
  ['a message in the middle', { isMidMessage: true }],
  ['an answer that was delivered in part', { isDelivered: true }],
  ['what was cancelled', { isCancelled: true }],
  ['what is not known as a whole', { isRecorded: false }],
  ['what was run again already', { runs: 1 }],
  ['a backend that was told to end', { sqlstate: '57P01' }],
] as const) {
  test(`${what} is not repeated, and its statements are not even looked at`, () => {
    const verdict = retryVerdict({ ...work, ...changes }, () => assert.fail('looked at'))
    assert.equal(verdict.again, false)
  })
}
