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

test('while a shard is adjusted, tiers have less, reservations are kept, and what is reserved stays', () => {
  const policies = NO_POLICY.tiers.map((tier, code) => {
    return { ...tier, reserved: share([2, 3, 0, 0][code] ?? 0), max: share([10, 10, 6, 4][code] ?? 0) }
  })
  const made = new ShardSlots(new Int32Array(4), new Int32Array(4))
  const keepsReserved = [true, false, false, false]
  made.configure(10, policies, { step: 'queue', reason: '', keepsReserved, most: [null, 2, 1, 9] })
  assert.deepEqual(
    [HIGH, MEDIUM, LOW, BACKGROUND].map((tier) => made.maxOf(tier)),
    [10, 3, 1, 4],
  )
  // Two are kept for high.
  assert.deepEqual([made.room(HIGH), made.room(BACKGROUND)], [10, 4])
  for (let taken = 0; taken < 4; taken++) made.take(BACKGROUND)
  for (let taken = 0; taken < 3; taken++) made.take(MEDIUM)
  assert.equal(made.room(LOW), 1)
  made.take(LOW)
  assert.deepEqual([made.room(LOW), made.room(HIGH)], [0, 2])
  made.configure(10, policies, null)
  assert.deepEqual([made.maxOf(LOW), made.maxOf(MEDIUM), made.room(LOW)], [6, 10, 2])
})
