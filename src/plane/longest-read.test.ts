import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ServerConnection } from '../server/server-connection.ts'
import { longestRead, type ReadingSession } from './longest-read.ts'

const LOW = 2
const BACKGROUND = 3
const times = [500, 900, 2000, 3000, 4000, 9000, -1]

function session(slot: number, tier: number, shard = 1, isCancelled = false): ReadingSession {
  const server = { target: { shard: { id: shard } }, work: { isCancelled } } as unknown as ServerConnection
  return { slot, server, seat: { tier } }
}

function found(sessions: readonly ReadingSession[], isOnlyReading: (slot: number) => boolean = () => true) {
  const quest = { shard: 1, tiers: [BACKGROUND, LOW], longerThanMs: 800 }
  const runningMs = (slot: number): number => times[slot] ?? -1
  return longestRead(sessions, { ...quest, runningMs, isOnlyReading: ({ slot }) => isOnlyReading(slot) })?.session.slot
}

test('the longest read of the lowest tier that has one is found', () => {
  assert.equal(found([session(2, LOW), session(1, BACKGROUND), session(4, LOW), session(5, 1)]), 1)
  assert.equal(found([session(2, LOW), session(0, BACKGROUND), session(4, LOW)]), 4)
  assert.equal(found([]), undefined)
})

test('neither what runs elsewhere, nor what may write, nor what is cancelled already', () => {
  const without: ReadingSession = { slot: 5, server: null, seat: { tier: LOW } }
  assert.equal(found([session(5, LOW, 2), session(4, LOW, 1, true), session(6, LOW), without, session(3, LOW)]), 3)
  const all = [session(5, LOW), session(4, LOW), session(3, LOW)]
  assert.equal(
    found(all, (slot) => slot !== 5),
    4,
  )
  assert.equal(
    found(all, () => false),
    undefined,
  )
})
