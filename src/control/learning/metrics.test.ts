import assert from 'node:assert/strict'
import { test } from 'node:test'
import { calibrationBins, calibrationError, measure } from './metrics.ts'

test('precision, recall and F1 of each class, and the cost of mistakes', () => {
  const { accuracy, macroF1, classes, cost, confusion } = measure([0, 0, 0, 3], [0, 0, 3, 3])
  assert.equal(accuracy, 0.75)
  assert.deepEqual(classes.high, { precision: 1, recall: 2 / 3, f1: 0.8, rows: 3 })
  assert.deepEqual(classes.background, { precision: 0.5, recall: 1, f1: 2 / 3, rows: 1 })
  assert.ok(Math.abs(macroF1 - (0.8 + 2 / 3) / 2) < 1e-12, 'classes that are not there do not count')
  assert.equal(cost, 10 / 4)
  assert.deepEqual(confusion[0], [2, 0, 0, 1])
})

test('a calibration error is how much more is said than is true', () => {
  const error = (confidence: number[], right: boolean[]): number => calibrationError(calibrationBins(confidence, right))
  assert.equal(error([], []), 0)
  assert.ok(Math.abs(error([0.9, 0.9], [true, false]) - 0.4) < 1e-12)
  assert.ok(Math.abs(error([0.55, 0.55, 1, 1], [true, false, true, true]) - 0.025) < 1e-12)
  assert.deepEqual(calibrationBins([0.5, 0.5, 1], [true, false, true]), [
    { rows: 2, confidence: 0.5, right: 0.5 },
    { rows: 1, confidence: 1, right: 1 },
  ])
})
