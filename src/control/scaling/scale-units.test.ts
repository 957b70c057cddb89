import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseConfig } from '../../config/load-config.ts'
import { freezeShard } from '../failover/failover.fixture.ts'
import type { AddedShard } from './added-shard.ts'
import type { Appeal } from './appeal.ts'
import type { ShardSample } from './load-sampler.ts'
import { scaleUnits, uselessness } from './scale-units.ts'

const SHARDS = ['db1', 'db2', 'db3'].map((name) => `[[shards]]\nname = "${name}"\nhost = "${name}"\n`).join('')

type Appeals = ReadonlyMap<number, Appeal>

function configOf(text: string, reads = 'replicas') {
  const rest = `[monitor]\nuser = "m"\n[[users]]\nname = "app"\npassword = "secret"\n[routing]\nreads = "${reads}"\n`
  return parseConfig(`${SHARDS}${rest}${text}`, { file: 'a.toml', directory: '/', environment: {} })
}

const TOPOLOGY = {
  version: 1,
  shards: [
    freezeShard({ id: 0, name: 'db1', role: 'primary', up: true }),
    freezeShard({ id: 1, name: 'db2', role: 'replica', up: true }),
    freezeShard({ id: 2, name: 'db3', role: 'replica', up: false }),
  ],
}

/** Waits of high and medium. */
const sample = (busy: number, high: number, medium: number): ShardSample => ({
  slots: 20,
  busy,
  waitMs: [high, medium, 0, 0],
})
const SAMPLES = new Map([
  [0, sample(3, 7, 1)],
  [1, sample(9, 0, 60)],
])

function unitsOf(text: string, added: readonly AddedShard[] = [], drained = '', appeals: Appeals = new Map()) {
  const config = configOf(text)
  const isDrained = (name: string): boolean => name === drained
  return scaleUnits({ config, topology: TOPOLOGY, added, samples: SAMPLES, appeals, isDrained })
}

function added(name: string, changes: Partial<AddedShard>): AddedShard {
  const facts = { maxConnections: 30, slots: null, zone: null, operation: 'x', begunAt: 1, servingAt: 0 }
  return { name, group: 'main', pool: null, driver: 'local', state: 'serving', place: null, ...facts, ...changes }
}

test('a group with its shards, and the tiers whose reads may run on replicas', () => {
  const [unit, ...others] = unitsOf('')
  assert.deepEqual(others, [])
  assert.deepEqual([unit?.group, unit?.pool, unit?.obstacle, unit?.maxShards], ['main', null, null, 6])
  assert.deepEqual(
    unit?.shards.map(({ name, isPrimary, state, isAdded, busy }) => [name, isPrimary, state, isAdded, busy]),
    [
      ['db1', true, 'serving', false, 3],
      ['db2', false, 'serving', false, 9],
      ['db3', false, 'down', false, 0],
    ],
  )
  // High stays on the primary, low and background have no objective.
  assert.deepEqual(unit?.tiers, [{ tier: 'medium', objectiveMs: 50, onReplicasMs: 60, onPrimaryMs: 1 }])
})

test('a pool with names is a unit of its own, for the tiers that are sent there', () => {
  const [group, pool] = unitsOf(
    '[[shard_pools]]\nname = "reports"\nshards = ["db3"]\n[tiers.low]\npools = ["reports"]\n[tiers.high]\npools = ["all"]\n[scaling]\nlow = "1s"\n',
  )
  assert.deepEqual([pool?.group, pool?.pool], ['main', 'reports'])
  assert.deepEqual(
    [group, pool].map((unit) => unit?.tiers.map(({ tier }) => tier)),
    [['high', 'medium'], ['low']],
  )
  assert.deepEqual(
    pool?.shards.map(({ name }) => name),
    ['db3'],
  )
})

test('a pool of primaries, or of shards of nowhere, is none', () => {
  const text = '[[shard_pools]]\nname = "p"\nshards = ["db1"]\nrole = "primary"\n[[shard_pools]]\nname = "q"\n'
  assert.equal(unitsOf(text).length, 1)
})

test('an appeal is heard where reads of the tier that lacks something, or of those in its way, may run elsewhere', () => {
  const heard = (text: string, tier: number, isAlone: boolean) => {
    const appeals = new Map([[0, { tier, isAlone, reason: 'it waits' }]])
    return unitsOf(text, [], '', appeals)[0]?.shards.map(({ appeal }) => appeal)
  }
  assert.deepEqual(heard('', 0, false), ['it waits', null, null])
  // High stays on the primary.
  assert.deepEqual(heard('', 0, true), [null, null, null])
  assert.deepEqual(heard('', 1, true), ['it waits', null, null])
  const strong = ['medium', 'low', 'background'].map((tier) => `[tiers.${tier}]\nconsistency = "strong"\n`).join('')
  assert.deepEqual(heard(strong, 0, false), [null, null, null])
})

test('added shards are told from others, and those on their way too', () => {
  const shards = [
    added('db2', {}),
    added('db4', { state: 'creating' }),
    added('db5', { state: 'leaving' }),
    added('db6', { state: 'creating', group: 'other' }),
  ]
  const of = (drained: string) =>
    unitsOf('', shards, drained)[0]?.shards.map(({ name, state, isAdded }) => `${name} ${state} ${isAdded}`)
  const others = ['db3 down false', 'db4 starting true', 'db5 draining true']
  assert.deepEqual(of(''), ['db1 serving false', 'db2 serving true', ...others])
  assert.deepEqual(of('db2'), ['db1 serving false', 'db2 draining true', ...others])
})

test('a shard that a pool was given is not the group’s to take away', () => {
  const text = '[[shard_pools]]\nname = "reports"\nshards = ["db2"]\n'
  const ownersOf = (pool: string | null) =>
    unitsOf(text, [added('db2', { pool })]).map(({ shards }) => shards.find(({ name }) => name === 'db2')?.isAdded)
  assert.deepEqual(ownersOf('reports'), [false, true])
  assert.deepEqual(ownersOf(null), [true, false])
})

test('a replica that nothing is sent to is useless', () => {
  assert.equal(uselessness(configOf(''), null), null)
  assert.match(uselessness(configOf('', 'primary'), null) ?? '', /routing\.reads is "primary"/)
  const strong = ['high', 'medium', 'low', 'background'].map((tier) => `[tiers.${tier}]\nconsistency = "strong"\n`)
  assert.match(uselessness(configOf(strong.join('')), null) ?? '', /no tier sends reads there/)
  const loose = '[[tiers.rules]]\nuser = "a"\nconsistency = "eventual"\n'
  assert.equal(uselessness(configOf(strong.join('') + loose), null), null)
  const reporting = '[[shard_pools]]\nname = "reporting"\nshards = ["db2"]\n'
  const rule = '[[tiers.rules]]\nuser = "a"\ntier = "low"\npools = ["reporting"]\n'
  assert.match(uselessness(configOf(reporting), 'reporting') ?? '', /no tier sends reads there/)
  assert.equal(uselessness(configOf(reporting + rule), 'reporting'), null)
})
