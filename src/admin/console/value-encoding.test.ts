import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeValue } from './value-encoding.ts'

test('values in text are what PostgreSQL prints', () => {
  const text = (...value: Parameters<typeof encodeValue>): string | undefined => encodeValue(...value)?.toString()
  assert.equal(text(true, 'bool', 0), 't')
  assert.equal(text(false, 'bool', 0), 'f')
  assert.equal(text(41.6, 'int4', 0), '42')
  assert.equal(text(2 ** 40, 'int8', 0), '1099511627776')
  assert.equal(text(1e21, 'int8', 0), '9007199254740991')
  assert.equal(text(0.25, 'float8', 0), '0.25')
  assert.equal(text('äöü', 'text', 0), 'äöü')
  assert.equal(encodeValue(null, 'int4', 0), null)
})

test('values in binary have the width of their type', () => {
  assert.deepEqual(encodeValue(true, 'bool', 1), Buffer.from([1]))
  assert.deepEqual(encodeValue(-2, 'int4', 1), Buffer.from([255, 255, 255, 254]))
  assert.equal(encodeValue(2 ** 40, 'int8', 1)?.readBigInt64BE(), 2n ** 40n)
  assert.equal(encodeValue(0.25, 'float8', 1)?.readDoubleBE(), 0.25)
  assert.deepEqual(encodeValue('ab', 'text', 1), Buffer.from('ab'))
  assert.equal(encodeValue(null, 'bool', 1), null)
})

test('numbers that no int can hold are brought to its bounds instead of failing', () => {
  for (const format of [0, 1] as const) {
    for (const type of ['int4', 'int8'] as const) {
      for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1e300]) {
        assert.doesNotThrow(() => encodeValue(value, type, format))
      }
    }
  }
  assert.equal(encodeValue(Number.NaN, 'int4', 1)?.readInt32BE(), 0)
  assert.equal(encodeValue(1e300, 'int4', 1)?.readInt32BE(), 2 ** 31 - 1)
})
