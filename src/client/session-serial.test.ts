import assert from 'node:assert/strict'
import { test } from 'node:test'
import { avoidSerial, takeSerial } from './session-serial.ts'

test('no two sessions have the same number, be they begun here or in another process', () => {
  const first = takeSerial(null)
  assert.equal(takeSerial(null), first + 1)
  assert.equal(takeSerial(first + 10), first + 10)
  assert.equal(takeSerial(null), first + 11)
  avoidSerial(first + 20)
  assert.equal(takeSerial(null), first + 21)
  avoidSerial(first)
  assert.equal(takeSerial(null), first + 22)
})
