import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseConfig } from '../../config/load-config.ts'
import { isCountedApart, slotsOf } from '../../shard/policy.ts'
import { TIERS } from '../../shard/tier.ts'
import { EMPTY_RULE } from '../../shard/tier-rule.fixture.ts'
import { compilePolicy, slotShare } from './compile-policy.ts'

const base = '[[shards]]\nname = "db1"\nhost = "db1"\n[monitor]\nuser = "watch"\n'
const compile = (text: string) =>
  compilePolicy(parseConfig(base + text, { file: 'f', directory: '/', environment: {} }))

test('without a word about it there is a policy for every tier, the most important first', () => {
  const policy = compile('')
  assert.deepEqual(
    policy.tiers.map(({ tier }) => tier),
    TIERS,
  )
  assert.deepEqual(
    policy.tiers.map(({ shedOrder }) => shedOrder),
    [1, 2, 3, 4],
  )
  assert.deepEqual(
    policy.pools.map(({ name }) => name),
    ['all', 'primary', 'replicas'],
  )
})

test('what is written for a tier is for that tier only', () => {
  const policy = compile('[tiers.low]\nqueue_wait = "3s"\nconsistency = "eventual"\npools = "replicas"')
  assert.deepEqual(
    policy.tiers.map(({ queueWaitMs, consistency }) => [queueWaitMs, consistency]),
    [
      [0, 'session'],
      [0, 'session'],
      [3000, 'eventual'],
      [0, 'session'],
    ],
  )
})

test('rules are in their order, and say nothing that is not written', () => {
  const { rules } = compile('[[tiers.rules]]\nuser = "a"\nmax = "10%"\nqueue = 3\n[[tiers.rules]]\ntier = "low"')
  assert.deepEqual(rules, [
    { ...EMPTY_RULE, user: 'a', max: { slots: 0, percent: 10 }, queue: 3 },
    { ...EMPTY_RULE, tier: 'low' },
  ])
  assert.deepEqual(rules.map(isCountedApart), [true, false])
})

test('a pool of shards without shards is every shard', () => {
  const { pools } = compile(
    '[[shard_pools]]\nname = "x"\nrole = "replica"\n[[shard_pools]]\nname = "y"\nshards = "db1"',
  )
  assert.deepEqual(pools.slice(3), [
    { name: 'x', shards: null, role: 'replica' },
    { name: 'y', shards: ['db1'], role: 'any' },
  ])
})

test('a share is a number of slots or a percentage, and never more than there are', () => {
  const [four, quarter] = [slotShare('4'), slotShare('25%')]
  assert.deepEqual([slotsOf(four, 10, Math.floor), slotsOf(four, 3, Math.floor)], [4, 3])
  assert.deepEqual([slotsOf(quarter, 10, Math.floor), slotsOf(quarter, 10, Math.ceil)], [2, 3])
})
