import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Region } from './region.ts'

const RECORD_BYTES = 512
const text = fc.string({ unit: 'binary', maxLength: 300 })
const capacity = fc.integer({ min: 1, max: 256 })

/** The longest beginning of whole characters that fits. */
function cut(whole: string, mostBytes: number): string {
  let fits = ''
  for (const character of whole) {
    if (Buffer.byteLength(fits + character) > mostBytes) break
    fits += character
  }
  return fits
}

test('a text comes out as it went in, cut between characters where it does not fit', () => {
  fc.assert(
    fc.property(text, capacity, fc.nat(2), fc.nat(200), (whole, most, record, offset) => {
      const region = new Region(new ArrayBuffer(3 * RECORD_BYTES), 0, RECORD_BYTES, 3)
      region.bytes.fill(0xaa)
      region.writeText(record, offset, most, whole)
      assert.equal(region.readText(record, offset), cut(whole, most - 1))
      const start = record * RECORD_BYTES + offset
      assert.ok(region.bytes.subarray(0, start).every((byte) => byte === 0xaa))
      assert.ok(region.bytes.subarray(start + most).every((byte) => byte === 0xaa))
    }),
    { numRuns: 300 },
  )
})

test('a character that would cross the border is left out whole', () => {
  const region = new Region(new ArrayBuffer(RECORD_BYTES), 0, RECORD_BYTES, 1)
  for (const [whole, most, kept] of [
    ['abcé', 5, 'abc'],
    ['abcé', 6, 'abcé'],
    ['ab€', 5, 'ab'],
    ['a😀', 5, 'a'],
    ['a😀', 6, 'a😀'],
    ['', 1, ''],
    ['a', 1, ''],
  ] as const) {
    region.writeText(0, 8, most, whole)
    assert.equal(region.readText(0, 8), kept)
  }
})

test('a shorter text leaves nothing of a longer one', () => {
  const region = new Region(new ArrayBuffer(RECORD_BYTES), 0, RECORD_BYTES, 1)
  region.writeText(0, 0, 64, 'application')
  region.writeText(0, 0, 64, 'app')
  assert.equal(region.readText(0, 0), 'app')
  region.writeText(0, 0, 64, '')
  assert.equal(region.readText(0, 0), '')
})

test('the views of a region show the same bytes, and clear empties one record', () => {
  const region = new Region(new ArrayBuffer(4 * RECORD_BYTES), RECORD_BYTES, RECORD_BYTES, 3)
  region.i32.fill(-1)
  region.f64[RECORD_BYTES / 8] = 1.5
  assert.equal(region.bytes.readDoubleLE(RECORD_BYTES), 1.5)
  assert.equal(region.i32[RECORD_BYTES / 4 + 2], -1)
  region.clear(1)
  const used = [0, 1, 2].map((record) =>
    region.bytes.subarray(record * RECORD_BYTES, (record + 1) * RECORD_BYTES).some((byte) => byte !== 0),
  )
  assert.deepEqual(used, [true, false, true])
  assert.equal(region.bytes.length, 3 * RECORD_BYTES)
})
