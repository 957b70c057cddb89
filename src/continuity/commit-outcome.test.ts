import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type CommitEvidence,
  type CommitMark,
  type ConnectionAge,
  commitOutcome,
  readEvidence,
  readMark,
} from './commit-outcome.ts'

const MARK: CommitMark = { xid: 755n, lsn: 10_000n, timeline: 3 }
/** A server that has not crashed since, and knows the transaction. */
const SAME: CommitEvidence = {
  status: 'committed',
  timeline: 3,
  recoveryEnd: 0n,
  recoveryTimeline: 0,
  nextXid: null,
  sinceResetMs: 3_600_000,
}
const CRASHED: CommitEvidence = { ...SAME, sinceResetMs: 400, nextXid: 755n }
const PROMOTED: CommitEvidence = { ...SAME, timeline: 4, recoveryTimeline: 4, recoveryEnd: 11_000n, sinceResetMs: 50 }
const AGE: ConnectionAge = { leastMs: 10_000, mostMs: 10_100 }

const outcomes: readonly (readonly [string, CommitEvidence, string])[] = [
  ['the same run of the server has committed it', SAME, 'committed'],
  ['has rolled it back', { ...SAME, status: 'aborted' }, 'aborted'],
  ['is still at it', { ...SAME, status: 'in progress' }, 'pending'],
  ['is still at it, and nothing later has ended', { ...SAME, status: 'unseen' }, 'pending'],
  ['statistics were reset, by a crash or somebody', { ...SAME, sinceResetMs: 11_000 }, 'unknown'],
  ['nobody knows when', { ...SAME, sinceResetMs: null }, 'unknown'],
  ['reset, and it is not committed', { ...SAME, sinceResetMs: 11_000, status: 'aborted' }, 'aborted'],
  ['reset, and it may be under way', { ...SAME, sinceResetMs: 11_000, status: 'in progress' }, 'pending'],
  ['a crash after which the id was given to another one', CRASHED, 'aborted'],
  ['which is under way', { ...CRASHED, status: 'in progress' }, 'aborted'],
  ['a crash after which the id was not given again', { ...CRASHED, status: 'unseen' }, 'aborted'],
  ['a crash whose recovery has seen the id', { ...CRASHED, nextXid: 756n }, 'committed'],
  ['and found no commit', { ...CRASHED, nextXid: 756n, status: 'aborted' }, 'aborted'],
  [
    'a crash at about the time when the connection was opened, which may have been before it',
    { ...CRASHED, sinceResetMs: 10_050 },
    'unknown',
  ],
  ['the same, and it is still under way', { ...CRASHED, sinceResetMs: 10_050, status: 'in progress' }, 'pending'],
  ['the same, and nothing later has ended', { ...CRASHED, sinceResetMs: 14_000, status: 'unseen' }, 'pending'],
  ['the same, and it is not committed', { ...CRASHED, sinceResetMs: 14_000, status: 'aborted' }, 'aborted'],
  ['a crash, and a checkpoint since', { ...CRASHED, nextXid: null }, 'unknown'],
  ['a replica that had its log', PROMOTED, 'committed'],
  ['a replica that has no commit of it', { ...PROMOTED, status: 'aborted' }, 'aborted'],
  ['a replica that has never seen it', { ...PROMOTED, status: 'unseen' }, 'aborted'],
  ['a replica that gave the id to another one', { ...PROMOTED, status: 'in progress' }, 'aborted'],
  ['a replica that had less, and gave the id to another one', { ...PROMOTED, recoveryEnd: 9000n }, 'aborted'],
  ['a replica that had about as much', { ...PROMOTED, recoveryEnd: 10_080n }, 'unknown'],
  ['a replica that has had a checkpoint since', { ...PROMOTED, recoveryTimeline: 0, recoveryEnd: 0n }, 'unknown'],
  ['two promotions', { ...PROMOTED, timeline: 5, recoveryTimeline: 5 }, 'unknown'],
  ['an old server that came back', { ...PROMOTED, timeline: 2, recoveryTimeline: 2 }, 'unknown'],
]

for (const [what, evidence, outcome] of outcomes) {
  test(`${what}: ${outcome}`, () => {
    assert.equal(commitOutcome(MARK, evidence, AGE).outcome, outcome)
  })
}

test('the edge of what a replica got is where its own records begin', () => {
  const at = (recoveryEnd: bigint): string => commitOutcome(MARK, { ...PROMOTED, recoveryEnd }, AGE).outcome
  assert.deepEqual([at(10_073n), at(10_074n), at(10_087n), at(10_088n)], ['aborted', 'unknown', 'unknown', 'committed'])
  const page = 16_384n
  const near = (lsn: bigint): string =>
    commitOutcome({ ...MARK, lsn }, { ...PROMOTED, recoveryEnd: page + 60n }, AGE).outcome
  assert.deepEqual([near(page - 92n), near(page - 91n)], ['committed', 'unknown'])
})

test('a mark is read, and a transaction without an id has none', () => {
  assert.deepEqual(readMark([['4294968051', '16/B374D848', '0000000A']]), {
    xid: 4_294_968_051n,
    lsn: (0x16n << 32n) + 0xb374d848n,
    timeline: 10,
  })
  assert.equal(readMark([[null, '16/B374D848', '00000001']]), null)
  assert.equal(readMark([['7', 'nonsense', '00000001']]), null)
  assert.equal(readMark(null), null)
})

test('evidence is read, and anything else is none', () => {
  assert.deepEqual(readEvidence([['committed', '00000004', '0/3001C50', '4', '2:755', '412']]), {
    status: 'committed',
    timeline: 4,
    recoveryEnd: 0x3001c50n,
    recoveryTimeline: 4,
    nextXid: (2n << 32n) + 755n,
    sinceResetMs: 412,
  })
  const online = readEvidence([['unseen', '00000001', '0/0', '0', null, null]])
  assert.deepEqual([online?.nextXid, online?.sinceResetMs], [null, null])
  assert.equal(readEvidence([['gone', '00000001', '0/0', '0', null, null]]), null)
  assert.equal(readEvidence(null), null)
})
