import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NO_POLICY, type TierPolicy } from '../shard/policy.ts'
import { ShardSlots } from './shard-slots.ts'

const [HIGH, MEDIUM, LOW, BACKGROUND] = [0, 1, 2, 3] as const

function slots(limit: number, changes: readonly Partial<TierPolicy>[]): ShardSlots {
  const made = new ShardSlots(new Int32Array(4), new Int32Array(4))
  made.configure(
    limit,
    NO_POLICY.tiers.map((tier, code) => ({ ...tier, ...changes[code] })),
  )
  return made
}

const share = (count: number, percent = 0) => ({ slots: count, percent })

test('an idle reservation is lent, and counted as missing', () => {
  const made = slots(4, [{ reserved: share(2) }])
  for (let taken = 0; taken < 4; taken++) {
    assert.equal(made.mayTake(LOW), true)
    made.take(LOW)
  }
  assert.equal(made.mayTake(HIGH), false)
  assert.equal(made.isUnderReserve(HIGH), true)
  made.release(LOW)
  assert.equal(made.mayTake(HIGH), true)
  assert.equal(made.total, 3)
})

test('what is kept is never lent, and its owner finds it', () => {
  const made = slots(4, [{ reserved: share(2), kept: share(1) }])
  for (let taken = 0; taken < 3; taken++) made.take(MEDIUM)
  assert.deepEqual([made.mayTake(LOW), made.room(LOW), made.mayTake(HIGH), made.room(HIGH)], [false, 0, true, 1])
  made.take(HIGH)
  made.release(MEDIUM)
  assert.equal(made.mayTake(LOW), true)
})

test('nobody has more than its maximum, however much is free', () => {
  const made = slots(10, [{}, {}, { max: share(0, 25) }, { max: share(2) }])
  assert.deepEqual([made.room(LOW), made.room(BACKGROUND), made.room(HIGH)], [3, 2, 10])
  for (let taken = 0; taken < 3; taken++) made.take(LOW)
  assert.equal(made.mayTake(LOW), false)
  assert.equal(made.mayTake(BACKGROUND), true)
})

test('a tier is allowed less for a time, but its reservation and one slot stay', () => {
  const made = slots(10, [{}, {}, { reserved: share(2) }, {}])
  made.allow(LOW, 0)
  made.allow(BACKGROUND, 0)
  made.allow(MEDIUM, 99)
  assert.deepEqual([made.room(LOW), made.room(BACKGROUND), made.room(MEDIUM)], [2, 1, 10])
})

test('fewer slots than are in use take none away', () => {
  const made = slots(4, [])
  for (let taken = 0; taken < 4; taken++) made.take(LOW)
  made.configure(2, NO_POLICY.tiers)
  assert.deepEqual([made.total, made.room(HIGH)], [4, 0])
  for (let given = 0; given < 3; given++) made.release(LOW)
  assert.equal(made.room(HIGH), 1)
})
