import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NO_BAR, progressBar } from './progress-bar.ts'

test('a bar grows with what is done, and is always as wide', () => {
  const bars = [
    progressBar(0, 4, 'files'),
    progressBar(3, 4, 'x'.repeat(200)),
    progressBar(4, 4, ''),
    progressBar(0, 0, ''),
  ]
  assert.deepEqual(
    bars.map((bar) => bar.split('█').length - 1),
    [0, 18, 24, 24],
  )
  assert.match(bars[0] as string, /^\r░{24} 0 of 4 files +$/)
  assert.deepEqual(new Set(bars.map(({ length }) => length)), new Set([NO_BAR.length - 1]))
})
