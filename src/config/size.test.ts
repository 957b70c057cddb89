import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatSize, parseSize, size } from './size.ts'

test('a size is a text with units of 1024, or a number of bytes', () => {
  const table: readonly [unknown, number][] = [
    ['64KB', 65_536],
    ['64kB', 65_536],
    ['64KiB', 65_536],
    ['64k', 65_536],
    ['16MB', 16_777_216],
    ['1.5M', 1_572_864],
    ['1GB', 1_073_741_824],
    ['100B', 100],
    [10_000, 10_000],
    [0, 0],
  ]
  for (const [found, bytes] of table) assert.equal(parseSize(found), bytes, String(found))
})

test('what is no size is none: no unit, unknown units, signs, blanks, fractions of a byte', () => {
  for (const found of [
    '',
    '64',
    'KB',
    '64 KB',
    '-1KB',
    '64TB',
    '64iB',
    '0.3B',
    '1e3',
    -1,
    0.5,
    Number.NaN,
    null,
    true,
    [],
  ]) {
    assert.equal(parseSize(found), null, String(found))
  }
})

test('every size is read back as it is written', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.nat(),
        fc.nat(4000).map((n) => n * 1024 ** 2),
      ),
      (bytes) => {
        const written = formatSize(bytes)
        assert.equal(parseSize(/^\d+$/.test(written) ? Number(written) : written), bytes)
      },
    ),
  )
})

test('a size outside of its range is not allowed, its ends are', () => {
  const type = size(1024, 65_536)
  const context = { directory: '/', readFile: () => '' }
  assert.deepEqual(type.read('1KB', context), { ok: true, value: 1024 })
  assert.deepEqual(type.read('64KB', context), { ok: true, value: 65_536 })
  assert.equal(type.read(1023, context).ok, false)
  assert.equal(type.read(65_537, context).ok, false)
})
