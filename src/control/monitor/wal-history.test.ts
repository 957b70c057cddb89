import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { WalHistory } from './wal-history.ts'

const at = (lsn: number, timeline = 1) => ({ isInRecovery: false, lsn, timeline })
const NOTHING = Number.NEGATIVE_INFINITY

test('a position stands for the moment at which the primary was last known to be there or before', () => {
  const history = new WalHistory()
  assert.equal(history.asOf(at(100)), NOTHING)
  history.note(0, 1000, at(100))
  history.note(0, 1010, at(200))
  history.note(0, 1020, at(300))
  assert.deepEqual(
    [99, 100, 199, 250, 300, 999].map((lsn) => history.asOf(at(lsn))),
    [NOTHING, 1000, 1000, 1010, 1020, 1020],
  )
})

test('while nothing is written the same position becomes more and more recent', () => {
  const history = new WalHistory()
  history.note(0, 1000, at(100))
  history.note(0, 5000, at(100))
  assert.equal(history.asOf(at(100)), 5000)
  assert.equal(history.lastAsOf, 5000)
})

test('positions of another timeline or primary say nothing', () => {
  const history = new WalHistory()
  history.note(0, 1000, at(100))
  assert.equal(history.asOf(at(500, 2)), NOTHING)
  history.note(0, 1010, at(120, 2))
  assert.equal(history.asOf(at(500, 1)), NOTHING)
  assert.equal(history.asOf(at(120, 2)), 1010)
  history.note(1, 1020, at(110, 2))
  assert.equal(history.asOf(at(115, 2)), 1020)
  history.forget()
  assert.equal(history.asOf(at(115, 2)), NOTHING)
})

test('whoever wrote before the moment that a position stands for finds it there', () => {
  const step = fc.record({ write: fc.nat(3), wait: fc.integer({ min: 1, max: 5 }), sample: fc.boolean() })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100 }), fc.nat(400), (steps, replayed) => {
      const history = new WalHistory()
      let now = 0
      let lsn = 0
      const commits: { readonly at: number; readonly lsn: number }[] = []
      for (const { write, wait, sample } of steps) {
        now += wait
        // The question is asked first, and the answer may know of later writes.
        const askedAt = now
        if (write > 0) {
          lsn += write
          now += 1
          commits.push({ at: now, lsn })
        }
        if (sample) history.note(0, askedAt, at(lsn))
      }
      const asOf = history.asOf(at(replayed))
      for (const commit of commits) if (commit.at <= asOf) assert.ok(commit.lsn <= replayed)
    }),
  )
})
