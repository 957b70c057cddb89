import assert from 'node:assert/strict'
import { test } from 'node:test'
import { IDLE_ANSWER, loadSample } from './load.fixture.ts'
import { loadRates } from './load-rates.ts'
import { connectionsOf, type LoadSample, loadQuestion, readLoad } from './load-sample.ts'
import { LoadWatch } from './load-watch.ts'
import { strainOf } from './strain.ts'

test('an answer becomes a sample, also of a version that does not tell of files, and of a fresh server', () => {
  const empty = Object.fromEntries(Object.keys(IDLE_ANSWER.totals).map((name) => [name, null]))
  const answer = { ...IDLE_ANSWER, files: null, totals: empty as typeof IDLE_ANSWER.totals, delay: -3 }
  const sample = readLoad(answer, 100, 7)
  assert.deepEqual([sample.askedAt, sample.tookMs, sample.replayDelayMs], [100, 7, 0])
  assert.deepEqual([sample.totals.commits, sample.totals.ioReads, sample.totals.ioWrites], [0, null, null])
  assert.equal(connectionsOf(sample), 1)
  assert.match(loadQuestion(16), /pg_stat_io/)
  assert.doesNotMatch(loadQuestion(15), /pg_stat_io/)
})

test('rates are per second, and unknown when totals went back', () => {
  const { totals } = loadSample()
  const before = loadSample({ askedAt: 1000 })
  const after = loadSample({ askedAt: 3000, totals: { ...totals, commits: 500, activeMs: 3000, blocksRead: 8 } })
  const rates = loadRates(before, after)
  assert.deepEqual([rates?.transactions, rates?.meanActive, rates?.blocksRead], [250, 1.5, 4])
  assert.equal(loadRates(after, before), null)
  assert.equal(loadRates(loadSample({ askedAt: 0, totals: { ...totals, commits: 9 } }), before), null)
})

test('a shard is strained when it answers slowly, is full, or its sessions or ours queue', () => {
  const sessions = { active: 0, idle: 0, inTransaction: 0, hidden: 0 }
  const waits = { none: 0, lock: 0, lwlock: 0, io: 0, client: 0, other: 0 }
  assert.equal(strainOf(null, null), null)
  assert.equal(strainOf(loadSample(), { held: 8, limit: 8, waiting: 0 }), null)
  assert.equal(strainOf(loadSample(), { held: 7, limit: 8, waiting: 3 }), null)
  assert.equal(
    strainOf(loadSample(), { held: 8, limit: 8, waiting: 3 }),
    'all 8 slots are taken, and 3 transactions wait',
  )
  assert.equal(strainOf(loadSample({ tookMs: 260 }), null), 'answers slowly: 260 ms')
  assert.equal(strainOf(loadSample({ sessions: { ...sessions, idle: 93 } }), null), null)
  assert.equal(strainOf(loadSample({ sessions: { ...sessions, idle: 94 } }), null), '2 of 97 connections are free')
  const crowd = { sessions: { ...sessions, active: 20 }, waits: { ...waits, lwlock: 10 } }
  assert.equal(strainOf(loadSample(crowd), null), '10 of 20 active sessions wait for short locks of the server')
  assert.equal(strainOf(loadSample({ ...crowd, waits: { ...waits, lwlock: 9 } }), null), null)
})

test('a load is asked for at its interval; silence and slowness leave the last sample, and no rates', async () => {
  let now = 0
  const watch = new LoadWatch(1000, () => now)
  const answers: (LoadSample | 'slow' | null)[] = []
  const ask = async (answer: LoadSample | 'slow' | null): Promise<void> => {
    answers.push(answer)
    await watch.ask({ load: async () => answers.shift() ?? null }, 100)
  }
  assert.equal(watch.isDue, true)
  const { totals } = loadSample()
  await ask(loadSample({ askedAt: 0 }))
  assert.deepEqual([watch.isDue, watch.rates, watch.sample?.askedAt], [false, null, 0])
  now = 1000
  assert.equal(watch.isDue, true)
  await ask(loadSample({ askedAt: 1000, totals: { ...totals, commits: 7 } }))
  assert.equal(watch.rates?.transactions, 7)
  await ask('slow')
  assert.deepEqual([watch.isSlow, watch.rates, watch.sample?.askedAt], [true, null, 1000])
  await ask(null)
  assert.deepEqual([watch.isSlow, watch.sample?.askedAt], [false, 1000])
  watch.forget()
  assert.equal(watch.sample, null)
})
