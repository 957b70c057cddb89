import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DroppedClient, PreservationSummary } from '../memory/preservation.ts'
import { type KeptClient, type PreservationEntry, PreservationLedger } from './preservation-ledger.ts'

function open(
  describe: (slot: number, generation: number) => KeptClient | null,
  past: readonly PreservationEntry[] = [],
) {
  let kept: readonly PreservationEntry[] = past
  const keeping = {
    read: () => kept,
    keep(entries: readonly PreservationEntry[]) {
      kept = entries
    },
  }
  return { ledger: new PreservationLedger(describe, keeping), kept: () => kept }
}

const client = (slot: number) => ({
  slot,
  generation: 1,
  user: `user${slot}`,
  database: 'app',
  applicationName: '',
  address: '127.0.0.1',
  remotePort: 5000,
})

const summary = (beganAt: number): PreservationSummary => ({
  event: 'upgrade',
  plane: 0,
  beganAt,
  stallMs: 5,
  kept: 1,
  dropped: 1,
  told: 1,
  reasons: { 'it was leaving': 1 },
})

const dropped: DroppedClient = { ...client(9), reason: 'it was leaving', told: true }

test('an event has its clients, those that were kept by the names that their slots have', () => {
  const { ledger } = open((slot, generation) => (slot === 3 && generation === 8 ? client(3) : null))
  ledger.add({ op: 'preserved', summary: summary(100) })
  ledger.add({ op: 'preserved-clients', plane: 0, beganAt: 100, batch: { kept: [3, 8, 4, 8] } })
  ledger.add({ op: 'preserved-clients', plane: 0, beganAt: 100, batch: { dropped: [dropped] } })
  ledger.add({ op: 'preserved-clients', plane: 0, beganAt: 99, batch: { dropped: [dropped] } })
  assert.deepEqual(ledger.entries, [
    {
      ...summary(100),
      id: 1,
      clients: [
        { ...client(3), kept: true, relocated: false },
        { ...dropped, kept: false },
      ],
    },
  ])
})

test('the newest comes first, and old ones lose first their names and then everything', () => {
  const { ledger } = open(client)
  for (let n = 1; n <= 40; n++) {
    ledger.add({ op: 'preserved', summary: summary(n) })
    ledger.add({ op: 'preserved-clients', plane: 0, beganAt: n, batch: { kept: [1, 1] } })
  }
  const { entries } = ledger
  assert.deepEqual([entries.length, entries[0]?.id, entries.at(-1)?.id], [32, 40, 9])
  assert.deepEqual(
    entries.slice(0, 6).map(({ clients }) => clients.length),
    [1, 1, 1, 1, 0, 0],
  )
})

test('a later control process goes on where the one before ended, in the middle of a report as well', () => {
  const before = open(client)
  before.ledger.add({ op: 'preserved', summary: summary(100) })
  before.ledger.add({ op: 'preserved', summary: summary(200) })
  before.ledger.add({ op: 'preserved-clients', plane: 0, beganAt: 200, batch: { kept: [3, 8] } })
  const { ledger, kept } = open(client, structuredClone(before.kept()))
  assert.deepEqual(ledger.entries, before.ledger.entries)
  ledger.add({ op: 'preserved-clients', plane: 0, beganAt: 200, batch: { dropped: [dropped] } })
  ledger.add({ op: 'preserved', summary: summary(300) })
  assert.deepEqual(
    kept().map(({ id, beganAt, clients }) => [id, beganAt, clients.length]),
    [
      [3, 300, 0],
      [2, 200, 2],
      [1, 100, 0],
    ],
  )
})
