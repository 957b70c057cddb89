import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openPlane, TEST_DATABASE } from '../plane/plane.fixture.ts'
import type { ServerCredential } from '../server/server-target.ts'
import { testUserValue } from '../shard/user.fixture.ts'
import type { PoolIdentity } from './pool-choice.ts'

const keys = (byte: number): ServerCredential => ({
  scram: { kind: 'keys', clientKey: Buffer.alloc(32, byte), serverKey: Buffer.alloc(32, 9) },
  password: null,
  md5Hash: null,
})

const ADA = testUserValue()

const identity = (more: Partial<PoolIdentity> = {}): PoolIdentity => ({
  database: 'shop',
  entry: TEST_DATABASE,
  user: 'ada',
  userValue: ADA,
  credential: keys(1),
  ...more,
})

test('sessions that are alike have one choice, however often they log in', (t) => {
  const { poolChoices } = openPlane(t).plane
  const one = poolChoices.acquire(identity())
  assert.equal(poolChoices.acquire(identity({ userValue: { ...ADA }, credential: keys(1) })), one)
  assert.equal(one.users, 2)
})

test('whoever differs has another one', (t) => {
  const { plane } = openPlane(t)
  const { poolChoices } = plane
  const one = poolChoices.acquire(identity())
  const others = [
    identity({ user: 'bob' }),
    identity({ database: 'other' }),
    identity({ entry: { ...TEST_DATABASE } }),
    identity({ userValue: { ...ADA, poolSize: 3 } }),
    identity({ userValue: { ...ADA, poolMode: 'session' } }),
    identity({ credential: keys(2) }),
    identity({ credential: { scram: null, password: 'typed', md5Hash: null } }),
    identity({ credential: { scram: null, password: null, md5Hash: 'md5' } }),
    identity({ credential: { scram: { kind: 'password', password: 'x' }, password: null, md5Hash: null } }),
  ]
  const choices = new Set([one, ...others.map((other) => poolChoices.acquire(other))])
  assert.equal(choices.size, others.length + 1)
  for (const other of others) assert.ok(choices.has(poolChoices.acquire(other)))
})

test('the general mode is that of the login', (t) => {
  const { plane } = openPlane(t)
  const before = plane.poolChoices.acquire(identity())
  plane.setValues({ ...plane.values, pool: { ...plane.values.pool, mode: 'session' } })
  const after = plane.poolChoices.acquire(identity())
  assert.deepEqual([before.mode, after.mode], ['transaction', 'session'])
})

test('the last one to leave takes it along', (t) => {
  const { poolChoices } = openPlane(t).plane
  const one = poolChoices.acquire(identity())
  const other = poolChoices.acquire(identity({ credential: keys(2) }))
  poolChoices.acquire(identity())
  poolChoices.release(one)
  assert.equal(poolChoices.acquire(identity()), one)
  poolChoices.release(one)
  poolChoices.release(one)
  assert.notEqual(poolChoices.acquire(identity()), one)
  assert.equal(poolChoices.acquire(identity({ credential: keys(2) })), other)
})
