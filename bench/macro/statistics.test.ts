import assert from 'node:assert/strict'
import { test } from 'node:test'
import { median, percentile, ratio, significant } from './statistics.ts'

test('a percentile is a value that was measured, by nearest rank', () => {
  const values = Float64Array.from([5, 1, 4, 2, 3])
  assert.equal(percentile(values, 0.5), 3)
  assert.equal(percentile(values, 0.99), 5)
  assert.equal(percentile(values, 0), 1)
  assert.equal(percentile(new Float64Array(), 0.5), null)
})

test('values are sorted as numbers, not as text', () => {
  assert.equal(percentile(Float64Array.from([10, 9, 100]), 0.99), 100)
  assert.equal(median([10, 9, 100]), 10)
})

test('the median leaves out what is missing, and is null when everything is', () => {
  assert.equal(median([null, 3, 1, null, 2]), 2)
  assert.equal(median([1, 2, 3, 4]), 2.5)
  assert.equal(median([null]), null)
  assert.equal(median([]), null)
})

test('a ratio over nothing, or over less than nothing, says nothing', () => {
  assert.equal(ratio(3, 2), 1.5)
  assert.equal(ratio(3, 0), null)
  assert.equal(ratio(3, -1), null)
  assert.equal(ratio(null, 1), null)
  assert.equal(ratio(1, null), null)
})

test('figures are cut to significant digits, nulls kept', () => {
  assert.equal(significant(12.34567), 12.35)
  assert.equal(significant(123456, 3), 123000)
  assert.equal(significant(null), null)
})
