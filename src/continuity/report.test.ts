import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DroppedClient } from '../memory/preservation.ts'
import { type ClientOutcome, outcomeBatches, reasonsText, summarise } from './report.ts'

const NOBODY: DroppedClient = {
  slot: 0,
  generation: 1,
  user: 'alice',
  database: 'app',
  applicationName: '',
  address: '127.0.0.1',
  remotePort: 5000,
  reason: 'it was leaving',
  told: false,
}

const kept = (slot: number): ClientOutcome => ({ kept: true, slot, generation: 7 })
const dropped = (fields: Partial<DroppedClient>): ClientOutcome => ({ kept: false, client: { ...NOBODY, ...fields } })

test('a summary counts who was kept, dropped and told, by reason', () => {
  const takeOver = { event: 'plane-crash', plane: 0, beganAt: 1_000, endedAt: 1_041.26 } as const
  const outcomes = [kept(1), kept(2), dropped({}), dropped({ reason: 'it listened', told: true }), dropped({})]
  assert.deepEqual(summarise(takeOver, outcomes), {
    event: 'plane-crash',
    plane: 0,
    beganAt: 1_000,
    stallMs: 41.3,
    kept: 2,
    dropped: 3,
    told: 1,
    reasons: { 'it was leaving': 2, 'it listened': 1 },
  })
})

test('clocks that were read in the wrong order make no negative stall', () => {
  const takeOver = { event: 'upgrade', plane: 0, beganAt: 10, endedAt: 9 } as const
  assert.equal(summarise(takeOver, []).stallMs, 0)
})

test('reasons are told with the most frequent first', () => {
  assert.equal(reasonsText({ reasons: { rare: 1, often: 9 } }), 'often: 9, rare: 1')
  assert.equal(reasonsText({ reasons: {} }), '')
})

test('batches hold every outcome once, and few enough of each kind', () => {
  const outcomes = [
    ...Array.from({ length: 4_500 }, (_, slot) => kept(slot)),
    ...Array.from({ length: 250 }, (_, slot) => dropped({ slot })),
  ]
  const batches = [...outcomeBatches(outcomes)]
  assert.deepEqual(
    batches.map((batch) => batch.kept?.length ?? batch.dropped?.length),
    [4_000, 4_000, 1_000, 100, 100, 50],
  )
  assert.deepEqual(batches[0]?.kept?.slice(0, 4), [0, 7, 1, 7])
  const slots = batches.flatMap((batch) => batch.dropped?.map(({ slot }) => slot) ?? [])
  assert.equal(new Set(slots).size, 250)
  assert.deepEqual([...outcomeBatches([])], [])
})
