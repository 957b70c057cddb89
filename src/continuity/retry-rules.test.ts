import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type LostStatements,
  type LostTransaction,
  type LostWork,
  RunCount,
  retryVerdict,
  sqlstateOfBackend,
} from './retry-rules.ts'

const work: LostWork = {
  sqlstate: null,
  isTied: false,
  transaction: null,
  isMidMessage: false,
  isDelivered: false,
  isSummed: true,
  isCancelled: false,
  isRecorded: true,
  runs: 0,
}
const transaction: LostTransaction = { mayReplay: true, ageMs: 100, mostMs: 100, isEnding: false }
const says = (onlyRead: boolean, whyNot: string | null): LostStatements => ({
  onlyRead: () => onlyRead,
  whyNotReplayable: () => whyNot,
})
const READS = says(true, 'it is no transaction')
const REPLAYABLE = says(false, null)
const UNASKED: LostStatements = {
  onlyRead: () => assert.fail('looked at'),
  whyNotReplayable: () => assert.fail('looked at'),
}

test('a read is run again, whether nothing of it was delivered or there is a checksum of what was', () => {
  assert.equal(retryVerdict({ ...work, isSummed: false }, READS).again, true)
  assert.equal(retryVerdict({ ...work, isDelivered: true }, READS).again, true)
  assert.equal(retryVerdict({ ...work, sqlstate: '57P02' }, READS).again, true)
})

test('what may write is not', () => {
  assert.deepEqual(retryVerdict(work, REPLAYABLE), { again: false, reason: 'it may write' })
})

test('a transaction is, and what its statements have against it is the reason why not', () => {
  assert.equal(retryVerdict({ ...work, transaction }, REPLAYABLE).again, true)
  assert.equal(retryVerdict({ ...work, transaction, isDelivered: true }, REPLAYABLE).again, true)
  assert.equal(retryVerdict({ ...work, transaction, runs: 1 }, REPLAYABLE).again, true)
  assert.deepEqual(retryVerdict({ ...work, transaction }, says(true, 'it is odd')), {
    again: false,
    reason: 'it is odd',
  })
})

for (const [what, changes] of [
  ['a session that is tied to its server connection', { isTied: true }],
  ['a message in the middle', { isMidMessage: true }],
  ['an answer that was delivered in part, without a checksum', { isDelivered: true, isSummed: false }],
  ['what was cancelled', { isCancelled: true }],
  ['what is not known as a whole', { isRecorded: false }],
  ['what was run again already', { runs: 1 }],
  ['a transaction that was run again twice', { transaction, runs: 2 }],
  ['a backend that was told to end', { sqlstate: '57P01' }],
  ['a transaction that was idle for too long', { sqlstate: '25P03' }],
  ['a transaction that took too long', { sqlstate: '25P04' }],
  ['a session that was idle for too long', { sqlstate: '57P05' }],
  ['a transaction of a tier without replay', { transaction: { ...transaction, mayReplay: false } }],
  ['a transaction that was ending', { transaction: { ...transaction, isEnding: true } }],
  ['a transaction without a checksum', { transaction, isSummed: false }],
  ['a transaction that is too old', { transaction: { ...transaction, ageMs: 101 } }],
] as const) {
  test(`${what} is not repeated, and its statements are not even looked at`, () => {
    const verdict = retryVerdict({ ...work, ...changes }, UNASKED)
    assert.equal(verdict.again, false)
  })
}

test('what dies with its server on several connections that were there already has been run again once', () => {
  const count = new RunCount()
  const old = { shard: 1, createdAt: 10, sqlstate: null }
  count.count(old, 100)
  assert.equal(count.times, 1, 'the first loss')
  assert.equal(count.before({ shard: 1, createdAt: 50, sqlstate: null }), 0, 'it had died with the first one')
  count.count({ shard: 1, createdAt: 50, sqlstate: null }, 101)
  assert.equal(count.times, 1)
  assert.equal(count.before({ shard: 2, createdAt: 50, sqlstate: null }), 1, 'another server has died as well')
  assert.equal(count.before({ shard: 1, createdAt: 149, sqlstate: null }), 0, 'no server recovers so soon')
  assert.equal(count.before({ shard: 1, createdAt: 150, sqlstate: null }), 1, 'one that was made when it may have')
  assert.equal(count.before({ shard: 1, createdAt: 100, sqlstate: '57P01' }), 1, 'one that was ended for itself')
  const ended = { shard: 1, sqlstate: '57P02' }
  assert.equal(count.before({ ...ended, createdAt: 140 }), 0, 'one that was made while the server ended all of them')
  assert.equal(count.before({ ...ended, createdAt: 1100 }), 1, 'one that another crash has ended')
  count.count({ ...ended, createdAt: 140 }, 150)
  assert.equal(count.times, 1)
  count.count({ shard: 1, createdAt: 160, sqlstate: null }, 200)
  assert.equal(count.times, 2, 'a connection to the server as it runs again')
  count.reset()
  assert.equal(count.before({ shard: 1, createdAt: 300, sqlstate: null }), 0, 'what comes next has not been run yet')
  assert.equal(new RunCount().before(old), 0)
})

test('a backend that finds its postmaster gone was not told to end, though it says the same', () => {
  const words = { severity: 'FATAL', sqlstate: '57P01', message: 'terminating connection' } as const
  assert.equal(sqlstateOfBackend({ ...words, routine: 'ProcessInterrupts' }), '57P01')
  assert.equal(sqlstateOfBackend(words), '57P01')
  assert.equal(sqlstateOfBackend({ ...words, routine: 'secure_read' }), null)
  assert.equal(sqlstateOfBackend({ ...words, sqlstate: '25P03', routine: 'secure_read' }), '25P03')
  assert.equal(sqlstateOfBackend(null), null)
})
