import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { duration, formatDuration, parseDuration } from './duration.ts'

test('a duration is a text with units, or a number of seconds', () => {
  const table: readonly [unknown, number][] = [
    ['250ms', 250],
    ['30s', 30_000],
    ['5m', 300_000],
    ['5min', 300_000],
    ['2h', 7_200_000],
    ['7d', 604_800_000],
    ['1h30m', 5_400_000],
    ['1.5s', 1500],
    ['0s', 0],
    [0, 0],
    [15, 15_000],
    [0.25, 250],
    // 1.1 * 1000 is not 1100 in binary fractions
    [1.1, 1100],
  ]
  for (const [found, ms] of table) assert.equal(parseDuration(found), ms, String(found))
})

test('what is no duration is none: no unit, unknown units, signs, blanks, fractions of a millisecond', () => {
  const wrong = ['', '30', 's', '5 m', '-5s', '5x', '5S', '1h 30m', '0.5ms', '1e3s', -1, 0.0001, Number.NaN]
  for (const found of [...wrong, Number.POSITIVE_INFINITY, null, true, ['5s'], {}]) {
    assert.equal(parseDuration(found), null, String(found))
  }
})

test('every whole number of milliseconds is read back as it is written', () => {
  fc.assert(
    fc.property(fc.nat(2_000_000_000), (ms) => {
      const written = formatDuration(ms)
      assert.equal(parseDuration(ms === 0 ? Number(written) : written), ms)
    }),
  )
})

test('a duration is written in the largest unit that holds it whole', () => {
  const table = { 0: '0', 250: '250ms', 1500: '1500ms', 90000: '90s', 600000: '10m', 3600000: '1h', 86400000: '1d' }
  for (const [ms, text] of Object.entries(table)) assert.equal(formatDuration(Number(ms)), text)
})

test('a duration outside of its range is not allowed, its ends are', () => {
  const type = duration(1000, 60_000)
  const context = { directory: '/', readFile: () => '' }
  assert.deepEqual(type.read('1s', context), { ok: true, value: 1000 })
  assert.deepEqual(type.read(60, context), { ok: true, value: 60_000 })
  assert.equal(type.read('999ms', context).ok, false)
  assert.equal(type.read('60001ms', context).ok, false)
})
