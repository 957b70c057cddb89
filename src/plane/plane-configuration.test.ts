import assert from 'node:assert/strict'
import { test } from 'node:test'
import { claimOf } from '../shard/claim.ts'
import type { PlaneValues } from '../shard/plane-values.ts'
import { testShardValue } from '../shard/shard.fixture.ts'
import { EMPTY_RULE } from '../shard/tier-rule.fixture.ts'
import { NO_VALUES } from './no-values.ts'
import { TEST_DATABASE } from './plane.fixture.ts'
import { PlaneConfiguration } from './plane-configuration.ts'

const PRIMARY = testShardValue({ id: 1 })
const VALUES: PlaneValues = {
  ...NO_VALUES,
  version: 1,
  databases: [TEST_DATABASE, { ...TEST_DATABASE, name: '*', group: 'rest' }],
  consoleSocket: '/run/console',
  hba: [{ type: 'local', databases: ['all'], users: ['all'], addresses: [], method: 'trust', line: 1 }],
  topology: { version: 1, shards: [PRIMARY] },
}

function open(): PlaneConfiguration {
  const configuration = new PlaneConfiguration()
  configuration.replace(VALUES)
  return configuration
}

test('where no rule holds, or there is none any more at its place, there is none', () => {
  const configuration = new PlaneConfiguration()
  assert.deepEqual(
    [-1, 0, 7].map((place) => configuration.ruleAt(place)),
    [null, null, null],
  )
})

test('clients are counted for a rule when it bounds what they have, as their tier otherwise', () => {
  const configuration = open()
  assert.equal(configuration.countsApart, false)
  const rules = [EMPTY_RULE, { ...EMPTY_RULE, queue: 0 }]
  configuration.replace({ ...VALUES, policy: { ...VALUES.policy, rules } })
  assert.equal(configuration.countsApart, true)
  assert.deepEqual(
    [-1, 0, 1, 2].map((place) => configuration.claimUnder(place, 3)),
    [3, 3, claimOf(3, 1), 3],
  )
  // As a control process says it that knows nothing of them.
  const { max: _, queue: __, shedOrder: ___, pools: ____, ...old } = EMPTY_RULE
  configuration.replace({ ...VALUES, policy: { ...VALUES.policy, rules: [old] } })
  assert.deepEqual([configuration.countsApart, configuration.claimUnder(0, 3)], [false, 3])
})

test('before its first values there is no database, no rule and no TLS', () => {
  const configuration = new PlaneConfiguration()
  assert.deepEqual(
    [configuration.database('shop'), configuration.hba.rules, configuration.values.version],
    [null, [], 0],
  )
  assert.deepEqual(configuration.tls.client, { mode: 'disable', context: null })
})

test('a database has its own entry, else that of all others', () => {
  const configuration = open()
  assert.deepEqual([configuration.database('shop')?.group, configuration.database('x')?.group], ['main', 'rest'])
  configuration.replace({ ...VALUES, databases: [TEST_DATABASE] })
  assert.equal(configuration.database('x'), null)
})

test('the console is a shard at the socket of the values', () => {
  assert.equal(open().consoleShard.address, '/run/console')
})

test('values that are of no use change nothing', () => {
  const configuration = open()
  const { values, hba, tls } = configuration
  const clientTls = { ...VALUES.clientTls, mode: 'require', certificate: 'none', key: 'none' } as const
  assert.throws(() => configuration.replace({ ...VALUES, version: 2, hba: [], clientTls }))
  assert.deepEqual(
    [configuration.values === values, configuration.hba === hba, configuration.tls === tls],
    [true, true, true],
  )
})

test('TLS is made anew for other certificates or another mode, and not when everything is repeated', () => {
  const configuration = open()
  const prefer = { ...VALUES, serverTls: { ...VALUES.serverTls, mode: 'prefer' } } as const
  configuration.replace(prefer)
  const { tls } = configuration
  configuration.replace({ ...structuredClone(prefer), version: 2, hba: [] })
  assert.equal(configuration.tls, tls)
  assert.deepEqual([configuration.values.version, configuration.hba.rules], [2, []])
  configuration.replace({ ...prefer, serverTls: { ...prefer.serverTls, mode: 'require' } })
  assert.equal(configuration.tls.server.mode, 'require')
})

test('values that are repeated are only numbered anew, with the topology that they bring along', () => {
  const configuration = open()
  const { values, hba } = configuration
  const topology = { version: 7, shards: [] }
  assert.equal(configuration.renumber({ ...structuredClone(VALUES), version: 2, topology }), true)
  assert.deepEqual(configuration.values, { ...VALUES, version: 2, topology })
  assert.equal(configuration.values, values, 'in place')
  assert.equal(configuration.hba, hba)
  assert.equal(configuration.renumber({ ...VALUES, version: 3, consoleSocket: '/elsewhere' }), false)
  assert.equal(configuration.values.version, 2)
  assert.deepEqual(VALUES.topology.shards, [PRIMARY], 'whoever gave them keeps what is his')
})

test('the first values are none that are repeated', () => {
  assert.equal(new PlaneConfiguration().renumber({ ...NO_VALUES, version: 1 }), false)
})

test('a topology replaces the one of the values, and nothing else', () => {
  const configuration = open()
  const shard = { ...PRIMARY, id: 2 }
  configuration.replaceTopology({ version: 9, shards: [shard] })
  assert.deepEqual(configuration.values, { ...VALUES, topology: { version: 9, shards: [shard] } })
  assert.deepEqual(configuration.route('main'), { ...configuration.route('main'), kind: 'shard', shard })
})

test("a shard is misplaced when its group's transactions go to another one, to another address, or nowhere", () => {
  const configuration = open()
  assert.equal(configuration.isMisplaced(PRIMARY), false)
  for (const other of [{ id: 2 }, { address: '127.0.0.2' }, { port: 5433 }, { group: 'other' }]) {
    assert.equal(configuration.isMisplaced({ ...PRIMARY, ...other }), true, JSON.stringify(other))
  }
})
