import assert from 'node:assert/strict'
import { test } from 'node:test'
import { turn } from './turn.ts'

const AGE = 1000

test('the higher tier goes first, each age of waiting counts as one tier', () => {
  assert.ok(turn(0, 0, false, AGE) < turn(1, 0, false, AGE))
  assert.ok(turn(2, 999, false, AGE) < turn(3, 999, false, AGE))
  assert.equal(turn(3, 1000, false, AGE), turn(2, 0, false, AGE))
  assert.equal(turn(1, 1500, false, AGE), turn(0, 300, false, AGE))
})

test('whose reservation is not used up goes before everybody whose is', () => {
  assert.ok(turn(3, 0, true, AGE) < turn(0, 0, false, AGE))
  assert.ok(turn(0, 0, true, AGE) < turn(1, 0, true, AGE))
})

test('who has aged past all tiers is on a par with the most important', () => {
  assert.equal(turn(3, 4000, false, AGE), turn(0, 0, true, AGE))
  assert.equal(turn(0, 10_000, true, AGE), 0)
})
