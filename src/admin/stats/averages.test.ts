import assert from 'node:assert/strict'
import { test } from 'node:test'
import { averagesBetween } from './averages.ts'
import { NO_TOTALS, type Totals, type TotalsSnapshot } from './database-totals.ts'

const snapshot = (at: number, totals: Partial<Totals>): TotalsSnapshot => ({
  at,
  databases: new Map([['app', { ...NO_TOTALS, ...totals }]]),
})

test('counts are per second, times per event in microseconds', () => {
  const older = snapshot(10_000, { transactions: 100, transactionMs: 1_000, waitMs: 10, serverAssignments: 10 })
  const newer = snapshot(20_000, { transactions: 300, transactionMs: 2_000, waitMs: 40, serverAssignments: 40 })
  const averages = averagesBetween(older, newer, 'app')
  assert.equal(averages.transactions, 20)
  assert.equal(averages.transactionTime, 5_000)
  assert.equal(averages.waitTime, 1_000)
})

test('a database that appeared meanwhile began at nothing', () => {
  const older: TotalsSnapshot = { at: 0, databases: new Map() }
  assert.equal(averagesBetween(older, snapshot(2_000, { queries: 10 }), 'app').queries, 5)
})

test('no time, no events and totals that went back make zeros, never infinities', () => {
  const some = snapshot(5_000, { queries: 10, queryMs: 5 })
  for (const averages of [
    averagesBetween(some, some, 'app'),
    averagesBetween(some, snapshot(6_000, { queries: 3 }), 'app'),
    averagesBetween(some, some, 'nobody'),
  ]) {
    assert.ok(Object.values(averages).every((value) => value === 0))
  }
})
