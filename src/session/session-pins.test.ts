import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PIN } from '../memory/client-slots.ts'
import { SessionPins } from './session-pins.ts'

const make = (...bits: readonly number[]): SessionPins => {
  const pins = new SessionPins({ onPins: () => {} })
  for (const bit of bits) pins.add(bit)
  return pins
}

test('somebody is told of every change, and of nothing else', () => {
  const told: number[] = []
  const pins = new SessionPins({ onPins: (bits) => told.push(bits) })
  pins.add(PIN.listen)
  pins.add(PIN.listen)
  pins.add(PIN.load)
  pins.remove(PIN.sequence)
  pins.remove(PIN.listen)
  assert.deepEqual(told, [PIN.listen, PIN.listen | PIN.load, PIN.load])
})

test('DISCARD ALL ends all but what is for life, when it has succeeded', () => {
  const all = PIN.sessionMode | PIN.temporaryObject | PIN.sequence | PIN.unknownFunction
  const pins = make(all)
  pins.endAll()
  pins.fail()
  pins.ended()
  assert.equal(pins.bits, all)
  assert.ok(pins.isOpaque)
  pins.endAll()
  pins.ended()
  pins.fail()
  assert.equal(pins.bits, PIN.sessionMode)
  assert.ok(!pins.isOpaque)
})

test('a DISCARD ALL that is bound and never executed ends nothing', () => {
  const pins = make(PIN.temporaryObject)
  pins.endAll()
  pins.settle()
  assert.equal(pins.bits, PIN.temporaryObject)
  pins.ended()
  assert.equal(pins.bits, PIN.temporaryObject)
})

test('what comes behind the end of a pin pins', () => {
  const pins = make(PIN.sequence)
  pins.end(PIN.sequence)
  pins.add(PIN.sequence)
  pins.ended()
  assert.equal(pins.bits, PIN.sequence)
  pins.end(PIN.sequence)
  pins.ended()
  assert.equal(pins.bits, 0)
})

test('of several ends on their way, what comes between them is ended by the last one only', () => {
  const pins = make(PIN.load)
  pins.endAll()
  pins.add(PIN.load)
  pins.endAll()
  pins.ended()
  pins.fail()
  assert.equal(pins.bits, PIN.load)
  pins.endAll()
  pins.endAll()
  pins.ended()
  pins.ended()
  assert.equal(pins.bits, 0)
})

test('the server can tell about some reasons only', () => {
  assert.ok(!make().isReviewable)
  assert.ok(make(PIN.temporaryObject, PIN.advisoryLock, PIN.unknownFunction).isReviewable)
  for (const bit of [PIN.setting, PIN.sequence, PIN.load, PIN.sessionMode, PIN.randomSeed]) {
    assert.ok(!make(PIN.temporaryObject, bit).isReviewable)
  }
})

test('reasons that the server does not find are gone, those that came behind the question are not', () => {
  const pins = make(PIN.temporaryObject, PIN.advisoryLock, PIN.unknownFunction)
  pins.review()
  pins.add(PIN.advisoryLock)
  pins.add(PIN.load)
  pins.answered(0, ~0)
  assert.equal(pins.bits, PIN.advisoryLock | PIN.load)
})

test('what the server finds pins, whatever it was called before', () => {
  const pins = make(PIN.unknownFunction)
  pins.review()
  pins.answered(PIN.temporaryObject, ~0)
  assert.equal(pins.bits, PIN.temporaryObject)
})

test('what others look after, the server is not believed about', () => {
  const pins = make(PIN.listen, PIN.temporaryObject)
  pins.review()
  pins.answered(0, ~PIN.listen)
  assert.equal(pins.bits, PIN.listen)
  const other = make(PIN.unknownFunction)
  other.review()
  other.answered(PIN.listen, ~PIN.listen)
  assert.equal(other.bits, 0)
})

test('an answer to another question ends nothing', () => {
  const pins = make(PIN.temporaryObject)
  pins.answered(0, ~0)
  assert.equal(pins.bits, PIN.temporaryObject)
})

test('a server that does not answer pins until it does, unless there is another reason', () => {
  const pins = make()
  pins.unanswered()
  assert.equal(pins.bits, PIN.setting)
  assert.ok(pins.isReviewable)
  pins.review()
  pins.answered(0, ~0)
  assert.equal(pins.bits, 0)
  pins.unanswered()
  pins.add(PIN.setting)
  assert.ok(!pins.isReviewable)
  pins.answered(0, ~0)
  assert.equal(pins.bits, PIN.setting)
})

test('what functions may have done belongs to the server connection', () => {
  const pins = make(PIN.unknownFunction)
  assert.equal(pins.leave(), true)
  assert.equal(pins.leave(), false)
  pins.becomeOpaque()
  assert.equal(pins.leave(), true)
})

test('a hint counts once', () => {
  const pins = make(PIN.temporaryObject)
  assert.equal(pins.takeFreed(), false)
  pins.free()
  assert.equal(pins.takeFreed(), true)
  assert.equal(pins.takeFreed(), false)
})

test('in another process, what was sent there ends pins here', () => {
  const before = make(PIN.sequence)
  before.end(PIN.sequence)
  const pins = make()
  pins.restore(before.bits, before.snapshot)
  pins.ended()
  assert.equal(pins.bits, 0)
})
