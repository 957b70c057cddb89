import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CapturedRows, MOST_CAPTURED_BYTES } from './captured-rows.ts'

function row(...values: readonly (string | null)[]): Buffer {
  const parts = [Buffer.alloc(2)]
  parts[0]?.writeInt16BE(values.length)
  for (const value of values) {
    const length = Buffer.alloc(4)
    length.writeInt32BE(value === null ? -1 : Buffer.byteLength(value))
    parts.push(length, Buffer.from(value ?? ''))
  }
  return Buffer.concat(parts)
}

const add = (rows: CapturedRows, bytes: Buffer): void => rows.add(bytes, 0, bytes.length)

test('rows are kept in order, and given away once', () => {
  const rows = new CapturedRows()
  add(rows, row('a', null, ''))
  add(rows, row('é'))
  assert.deepEqual(rows.take(), [['a', null, ''], ['é']])
  assert.deepEqual(rows.take(), [])
})

test('an answer that is too long, or no row at all, is given up, and the next one is not', () => {
  const rows = new CapturedRows()
  add(rows, row('x'.repeat(MOST_CAPTURED_BYTES - 6)))
  add(rows, row('y'))
  assert.equal(rows.take(), null)
  add(rows, row('z'))
  assert.deepEqual(rows.take(), [['z']])
  add(rows, row('a').subarray(0, 5))
  assert.equal(rows.take(), null)
  rows.giveUp()
  add(rows, row('a'))
  assert.equal(rows.take(), null)
})
