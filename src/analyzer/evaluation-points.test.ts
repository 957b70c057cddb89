import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isEvaluationPoint, isSnapshotPoint } from './evaluation-points.ts'

test('the first evaluations are at each doubling', () => {
  const points = Array.from({ length: 16 }, (_, n) => n + 1).filter((n) => isEvaluationPoint(n, 0, 0))
  assert.deepEqual(points, [1, 2, 4, 8, 16])
})

test('later ones need queries and time, or much time', () => {
  assert.equal(isEvaluationPoint(47, 16, 300), false)
  assert.equal(isEvaluationPoint(48, 16, 249), false)
  assert.equal(isEvaluationPoint(48, 16, 250), true)
  assert.equal(isEvaluationPoint(17, 16, 2000), true)
})

test('snapshots are taken after 0, 1, 4, 16, 64 … queries', () => {
  const points = Array.from({ length: 300 }, (_, n) => n).filter(isSnapshotPoint)
  assert.deepEqual(points, [0, 1, 4, 16, 64, 256])
})
