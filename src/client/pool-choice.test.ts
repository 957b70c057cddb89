import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openPlane, TEST_DATABASE, type TestPlane } from '../plane/plane.fixture.ts'
import type { DatabaseValue, PlaneValues, UserValue } from '../shard/plane-values.ts'
import { testUserValue } from '../shard/user.fixture.ts'
import { PoolChoice, type PoolIdentity } from './pool-choice.ts'

const ADA = testUserValue()
const CREDENTIAL = { scram: null, password: 'typed', md5Hash: null }

function choice(
  test: TestPlane,
  entry: Partial<DatabaseValue> = {},
  user: Partial<UserValue> | null = null,
  identity: Partial<PoolIdentity> = {},
): PoolChoice {
  const database = { ...TEST_DATABASE, ...entry }
  test.plane.setValues({ ...test.plane.values, databases: [database] })
  const userValue = user === null ? null : { ...ADA, ...user }
  return new PoolChoice(test.plane, {
    database: 'shop',
    entry: database,
    user: 'ada',
    userValue,
    credential: CREDENTIAL,
    ...identity,
  })
}

function open(t: TestContext, pool: Partial<PlaneValues['pool']> = {}): TestPlane {
  const test = openPlane(t)
  const { values } = test.plane
  test.plane.setValues({ ...values, pool: { ...values.pool, size: 20, minSize: 1, mode: 'transaction', ...pool } })
  return test
}

test('mode: the user’s, else the database’s, else the default', (t) => {
  const test = open(t, { mode: 'session' })
  assert.equal(choice(test).mode, 'session')
  assert.equal(choice(test, { poolMode: 'transaction' }).mode, 'transaction')
  assert.equal(choice(test, { poolMode: 'transaction' }, { poolMode: 'session' }).mode, 'session')
  assert.equal(choice(test, { poolMode: 'transaction' }, {}).mode, 'transaction')
})

test('size: the user’s, else the database’s, else the default; the minimum is the database’s or the default', (t) => {
  const test = open(t)
  const settings = (entry: Partial<DatabaseValue>, user: Partial<UserValue> | null) =>
    choice(test, entry, user).current()?.settings
  assert.deepEqual(settings({}, null), { size: 20, minSize: 1 })
  assert.deepEqual(settings({ poolSize: 7, minPoolSize: 3 }, {}), { size: 7, minSize: 3 })
  assert.deepEqual(settings({ poolSize: 7 }, { poolSize: 5 }), { size: 5, minSize: 1 })
})

test('server connections log in as the client, with what its own login left, into the database it asked for', (t) => {
  const target = choice(open(t)).current()?.target
  assert.deepEqual(
    [target?.user, target?.database, target?.credential, target?.startup],
    ['ada', 'shop', CREDENTIAL, []],
  )
})

test('a database may have another name on the shards, and a user of its own there', (t) => {
  const test = open(t)
  const forced = choice(test, { serverDatabase: 'shop_v2', serverUser: 'app', serverPassword: 'configured' })
  const target = forced.current()?.target
  assert.deepEqual([target?.user, target?.database], ['app', 'shop_v2'])
  assert.deepEqual(target?.credential, {
    scram: { kind: 'password', password: 'configured' },
    password: 'configured',
    md5Hash: null,
  })
  // Never the client's own: it would be tried for somebody else.
  const nameless = choice(test, { serverUser: 'app' }).current()?.target
  assert.deepEqual(nameless?.credential, { scram: null, password: null, md5Hash: null })
})

test('without a primary there is no pool, and with the next topology there is', (t) => {
  const test = open(t)
  const one = choice(test)
  const { topology } = test.plane.values
  const [shard] = topology.shards
  assert.ok(shard)
  test.plane.setTopology({ version: 2, shards: [{ ...shard, role: 'replica' }] })
  assert.equal(one.current(), null)
  test.plane.setTopology({ version: 3, shards: [{ ...shard, id: 4, name: 'db4' }] })
  assert.equal(one.current()?.target.shard.id, 4)
})

test('the pool is asked for again only when topology or configuration have changed', (t) => {
  const test = open(t)
  const one = choice(test)
  const before = one.current()
  before?.resize({ size: 99, minSize: 0 })
  assert.equal(one.current(), before)
  assert.equal(before?.settings.size, 99)
  test.plane.setValues({ ...test.plane.values, pool: { ...test.plane.values.pool, size: 30 } })
  assert.equal(one.current(), before)
  assert.equal(before?.settings.size, 30)
})

test('the entry as it is now counts; when it is gone from the configuration, the one of the login does', (t) => {
  const test = open(t)
  const one = choice(test)
  const { values } = test.plane
  test.plane.setValues({ ...values, databases: [{ ...TEST_DATABASE, serverDatabase: 'shop_v2' }] })
  assert.equal(one.current()?.target.database, 'shop_v2')
  test.plane.setValues({ ...values, databases: [] })
  assert.equal(one.current()?.target.database, 'shop')
  test.plane.setValues({ ...values, databases: [{ ...TEST_DATABASE, name: '*', serverDatabase: 'other' }] })
  assert.equal(one.current()?.target.database, 'other')
})

test('of replicas that are equally busy each in its turn, but not one that has too much to do', (t) => {
  const test = open(t)
  const one = choice(test, { role: 'replica' })
  const [shard] = test.plane.values.topology.shards
  assert.ok(shard)
  const turns = (health: 'up' | 'overloaded'): readonly (number | undefined)[] => {
    const replica = { ...shard, role: 'replica' } as const
    const shards = [
      { ...replica, id: 1, name: 'db1' },
      { ...replica, id: 2, name: 'db2', health },
    ]
    test.plane.setTopology({ version: test.plane.values.topology.version + 1, shards })
    return Array.from({ length: 4 }, () => one.current()?.target.shard.id).sort()
  }
  assert.deepEqual(turns('up'), [1, 1, 2, 2])
  assert.deepEqual(turns('overloaded'), [1, 1, 1, 1])
})
