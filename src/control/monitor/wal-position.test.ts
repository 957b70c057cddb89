import assert from 'node:assert/strict'
import { test } from 'node:test'
import { endOfRecords, readPosition } from './wal-position.ts'

const SEGMENT = 16 * 1024 * 1024

test('behind a page’s or a segment’s header no record ends: the one before it does', () => {
  assert.equal(endOfRecords(0x8122018, SEGMENT), 0x8122000)
  assert.equal(endOfRecords(5 * SEGMENT + 40, SEGMENT), 5 * SEGMENT)
  // A record may well end 40 bytes into another page.
  assert.equal(endOfRecords(5 * SEGMENT + 8192 + 40, SEGMENT), 5 * SEGMENT + 8192 + 40)
  assert.equal(endOfRecords(0x8122060, SEGMENT), 0x8122060)
})

test('a row is a position; without timeline or position it is none', () => {
  const row = { recovery: false, lsn: 0x8122018, timeline: 3, segment: SEGMENT }
  assert.deepEqual(readPosition(row), { isInRecovery: false, lsn: 0x8122000, timeline: 3 })
  // What a replica has replayed ends where a record ends.
  assert.equal(readPosition({ ...row, recovery: true })?.lsn, 0x8122018)
  assert.equal(readPosition({ ...row, lsn: null }), null)
  assert.equal(readPosition({ ...row, timeline: null }), null)
})
