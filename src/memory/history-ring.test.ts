import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HistoryRing, SNAPSHOT } from './history-ring.ts'
import { HISTORY_RECORD_BYTES, HISTORY_RECORDS } from './layout.ts'
import { Region } from './region.ts'

const openRegion = () =>
  new Region(new ArrayBuffer(2 * HISTORY_RECORDS * HISTORY_RECORD_BYTES), 0, HISTORY_RECORD_BYTES, 2 * HISTORY_RECORDS)

function write(ring: HistoryRing, value: number): boolean {
  const record = ring.claim()
  if (record < 0) return false
  ring.region.i32[record * (HISTORY_RECORD_BYTES >> 2) + SNAPSHOT.slot] = value
  ring.commit()
  return true
}

function drain(ring: HistoryRing): number[] {
  const values: number[] = []
  ring.drain((record) => values.push(ring.region.i32[record * (HISTORY_RECORD_BYTES >> 2) + SNAPSHOT.slot] as number))
  return values
}

test('records come out once and in order, across the end of the ring, and planes do not see each other', () => {
  const region = openRegion()
  const [one, two] = [new HistoryRing(region, 0), new HistoryRing(region, 1)]
  write(two, -5)
  let next = 0
  const seen: number[] = []
  for (let round = 0; round < 5; round++) {
    for (let i = 0; i < 1000; i++) assert.ok(write(one, next++))
    seen.push(...drain(one))
  }
  assert.deepEqual(
    seen,
    Array.from({ length: next }, (_, i) => i),
  )
  assert.deepEqual(drain(two), [-5])
})

test('a full ring refuses what is new, and what it holds stays as it was', () => {
  const ring = new HistoryRing(openRegion(), 0)
  let room = 0
  while (write(ring, room)) room++
  assert.equal(room, HISTORY_RECORDS - 1)
  assert.equal(drain(ring)[0], 0)
  assert.ok(write(ring, 7))
  assert.deepEqual(drain(ring), [7])
})
