import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { arch, tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { openRingIfAllowed } from '../io/link-host.fixture.ts'
import { PlainSends } from '../io/plain-sends.ts'
import { monotonicMs } from '../util/monotonic-clock.ts'
import { type RehearsalOptions, rehearse } from './rehearsal.ts'

function optionsOf(t: TestContext, more: Partial<RehearsalOptions>): RehearsalOptions {
  const directory = mkdtempSync(join(tmpdir(), 'rehearsal-'))
  t.after(() => rmSync(directory, { recursive: true }))
  return {
    architecture: arch(),
    socketPath: join(directory, 'warm.sock'),
    queue: openRingIfAllowed() ?? new PlainSends(),
    clock: monotonicMs,
    mostMs: 60_000,
    mostRequests: 500,
    example: null,
    isOver: () => false,
    ...more,
  }
}

const openFiles = (): number => readdirSync('/proc/self/fd').length

test('requests of all kinds are answered, and nothing stays behind', (t) => {
  const options = optionsOf(t, {})
  const before = openFiles()
  const answered = rehearse(options)
  // Clients whose requests went wrong would have waited for their answers in vain.
  assert.ok(answered >= 500 && answered < 600, `${answered}`)
  assert.equal(openFiles(), before)
  assert.ok(!existsSync(options.socketPath))
})

test('a rehearsal ends at once when there is something else to do', (t) => {
  let turns = 0
  const answered = rehearse(optionsOf(t, { isOver: () => ++turns > 10 }))
  assert.ok(turns === 11 && answered < 500, `${turns} ${answered}`)
})

test('a rehearsal ends when its time is over', (t) => {
  let now = 1000
  const answered = rehearse(optionsOf(t, { clock: () => now++, mostMs: 100 }))
  assert.ok(answered < 500, `${answered}`)
})
