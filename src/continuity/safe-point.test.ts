import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PIN } from '../memory/client-slots.ts'
import { isUnpacked, relocation, type SessionMoment, safePoint } from './safe-point.ts'

const RESTING: SessionMoment = {
  isInTransaction: false,
  isOwed: false,
  isMidRequest: false,
  isChangingChannels: false,
  pins: 0,
}
const STATEMENT = { name: 'p', text: 'PREPARE p AS SELECT 1', types: '{} {integer}' }
const isLone = (text: string): boolean => !text.includes(';')

test('a session moves between transactions, when nothing ties it', () => {
  assert.deepEqual(safePoint(RESTING), { kind: 'moves' })
  for (const [moment, reason] of [
    [{ isMidRequest: true }, 'a request of it is on its way'],
    [{ isOwed: true }, 'it waits for an answer'],
    [{ isInTransaction: true }, 'it is in a transaction'],
    [{ isChangingChannels: true }, 'what it listens to is changing'],
  ] as const) {
    assert.deepEqual(safePoint({ ...RESTING, ...moment }), { kind: 'waits', reason })
    assert.deepEqual(safePoint({ ...RESTING, ...moment, pins: PIN.sqlPrepare }), { kind: 'waits', reason })
  }
})

test('what the server can be asked about is asked, and for the rest it stays', () => {
  for (const reason of [
    'sqlPrepare',
    'sequence',
    'sessionMode',
    'temporaryObject',
    'advisoryLock',
    'unknownFunction',
  ] as const) {
    assert.deepEqual(safePoint({ ...RESTING, pins: PIN[reason] }), { kind: 'asks' }, reason)
  }
  for (const reason of ['setting', 'load', 'randomSeed', 'longStatement', 'replication', 'console'] as const) {
    assert.equal(safePoint({ ...RESTING, pins: PIN[reason] | PIN.sqlPrepare }).kind, 'stays', reason)
  }
})

test('what was found says whether it can be had again', () => {
  const luggage = { pins: PIN.sqlPrepare | PIN.sessionMode, statements: [STATEMENT] }
  const pins = PIN.sqlPrepare | PIN.sessionMode | PIN.sequence
  assert.deepEqual(relocation(pins, [STATEMENT], isLone), { kind: 'moves', luggage })
  const reasons = (
    ['temporaryObject', 'advisoryLock', 'holdCursor', 'listen', 'unknownFunction', 'undecidedStatement'] as const
  ).map((reason) => relocation(PIN[reason] | PIN.sqlPrepare, [STATEMENT], isLone))
  assert.deepEqual(
    reasons.map((each) => each.kind === 'stays' && each.reason),
    [
      'it has temporary objects',
      'it holds a session lock, which would be nobody’s for a moment',
      'it has a cursor WITH HOLD',
      'it listens on its own server connection',
      'it has called a function that may have left something behind',
      'it has run a statement that may have left something behind',
    ],
  )
  assert.deepEqual(relocation(PIN.sqlPrepare, [{ ...STATEMENT, text: 'INSERT …; PREPARE p …' }], isLone), {
    kind: 'stays',
    reason: 'it prepared the statement "p" in one text with others, which would be run again',
  })
})

test('it has arrived when the same was found as before, and nothing else', () => {
  const luggage = { pins: PIN.sqlPrepare, statements: [STATEMENT] }
  assert.ok(isUnpacked(luggage, PIN.sqlPrepare, [{ ...STATEMENT }]))
  assert.ok(isUnpacked({ pins: PIN.sessionMode, statements: [] }, 0, []))
  assert.ok(!isUnpacked(luggage, PIN.sqlPrepare | PIN.setting, [STATEMENT]))
  assert.ok(!isUnpacked(luggage, PIN.sqlPrepare, []))
  assert.ok(!isUnpacked(luggage, PIN.sqlPrepare, [STATEMENT, { ...STATEMENT, name: 'q' }]))
  for (const changed of [{ name: 'q' }, { text: 'PREPARE p AS SELECT 2' }, { types: '{} {text}' }]) {
    assert.ok(!isUnpacked(luggage, PIN.sqlPrepare, [{ ...STATEMENT, ...changed }]))
  }
})
