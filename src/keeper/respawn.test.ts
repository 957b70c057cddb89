import assert from 'node:assert/strict'
import { test } from 'node:test'
import { neverStarted, type RespawnRecord, respawnVerdict } from './respawn.ts'

/** Delays of a child that lives so long again and again. */
function delays(readyMs: number | null, lives: number, record: RespawnRecord): readonly (number | string)[] {
  const seen: (number | string)[] = []
  for (let life = 0; life < lives; life++) {
    const verdict = respawnVerdict(record, { readyMs, isCrash: true })
    seen.push(verdict.action === 'respawn' ? verdict.delayMs : verdict.action)
    record = verdict.record
  }
  return seen
}

test('the first death is answered at once, a crash loop slows down to one try in five seconds', () => {
  assert.deepEqual(delays(500, 9, neverStarted), [0, 100, 200, 400, 800, 1600, 3200, 5000, 5000])
})

test('a child that was ready for long starts with a clean record', () => {
  assert.deepEqual(delays(2_000, 3, { failures: 8, wasEverReady: true }), [0, 0, 0])
})

test('a child that was never ready even once is given up', () => {
  assert.deepEqual(delays(null, 5, neverStarted), [0, 100, 200, 400, 'give-up'])
})

test('a child that was ready once is never given up', () => {
  assert.equal(delays(null, 50, { failures: 0, wasEverReady: true }).includes('give-up'), false)
})

test('one that is never given up slows down and goes on', () => {
  assert.equal(
    respawnVerdict({ failures: 99, wasEverReady: false }, { readyMs: null, isCrash: true }, Number.POSITIVE_INFINITY)
      .action,
    'respawn',
  )
})

test('to be killed again and again by somebody else is no crash loop, unless it never gets ready', () => {
  const looping: RespawnRecord = { failures: 7, wasEverReady: true }
  const killed = respawnVerdict(looping, { readyMs: 5, isCrash: false })
  assert.deepEqual(killed, { action: 'respawn', delayMs: 0, record: { failures: 0, wasEverReady: true } })
  const tooEarly = respawnVerdict(looping, { readyMs: null, isCrash: false })
  assert.ok(tooEarly.action === 'respawn' && tooEarly.delayMs === 5_000)
})
