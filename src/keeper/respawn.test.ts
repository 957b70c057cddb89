import assert from 'node:assert/strict'
import { test } from 'node:test'
import { neverStarted, type RespawnRecord, respawnVerdict } from './respawn.ts'

/** Delays of a child that lives so long again and again. */
function delays(readyMs: number | null, lives: number, record: RespawnRecord): readonly (number | string)[] {
  const seen: (number | string)[] = []
  for (let life = 0; life < lives; life++) {
    const verdict = respawnVerdict(record, readyMs)
    seen.push(verdict.action === 'respawn' ? verdict.delayMs : verdict.action)
    record = verdict.record
  }
  return seen
}

test('the first death is answered at once, a crash loop slows down to one try in five seconds', () => {
  assert.deepEqual(delays(500, 9, neverStarted), [0, 100, 200, 400, 800, 1600, 3200, 5000, 5000])
})

test('a child that was ready for long starts with a clean record', () => {
  assert.deepEqual(delays(10_000, 3, { failures: 8, wasEverReady: true }), [0, 0, 0])
})

test('a child that was never ready even once is given up', () => {
  assert.deepEqual(delays(null, 5, neverStarted), [0, 100, 200, 400, 'give-up'])
})

test('a child that was ready once is never given up', () => {
  assert.equal(delays(null, 50, { failures: 0, wasEverReady: true }).includes('give-up'), false)
})
