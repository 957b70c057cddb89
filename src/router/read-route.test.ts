import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Region } from '../memory/region.ts'
import { SHARD_RECORDS, SHARD_STATE_F64 } from '../memory/shard-records.ts'
import { NO_POLICY, type Policy } from '../shard/policy.ts'
import { testShardValue } from '../shard/shard.fixture.ts'
import { EMPTY_RULE } from '../shard/tier-rule.fixture.ts'
import type { Shard, Topology } from '../shard/topology.ts'
import { Freshness, requiredFreshness } from './freshness.ts'
import { type ReadDemand, ReadRouter } from './read-route.ts'
import { placesOf, RouteTable, reachesReplicas } from './route-table.ts'

const NOW = 100_000
const records = new Region(new ArrayBuffer(1024 * SHARD_RECORDS), 0, 1024, SHARD_RECORDS)

function fresh(shard: number, asOf: number, seenAt = NOW): void {
  records.f64[shard * 128 + SHARD_STATE_F64.freshAsOf] = asOf
  records.f64[shard * 128 + SHARD_STATE_F64.freshAt] = seenAt
}

function shard(id: number, role: Shard['role'], changes: Partial<Shard> = {}): Shard {
  return testShardValue({ id, name: `db${id}`, role, ...changes })
}

function policy(changes: Partial<Policy['routing']>, pools: readonly string[], extra: Policy['pools'] = []): Policy {
  return {
    ...NO_POLICY,
    routing: { ...NO_POLICY.routing, reads: 'replicas', ...changes },
    tiers: NO_POLICY.tiers.map((tier) => ({ ...tier, pools, consistency: 'session' })),
    pools: [...NO_POLICY.pools, ...extra],
  }
}

function open(rules: Policy, topology: Topology, busy: Record<number, number> = {}) {
  const table = new RouteTable({ loadOf: ({ id }) => ({ busy: busy[id] ?? 0, limit: 5, peakMs: () => 1 }) })
  table.rebuild(rules, topology, 0)
  const plan = table.of('main')
  assert.ok(plan)
  const router = new ReadRouter(new Freshness(records), () => 0.5, rules.routing)
  const choose = (demand: Partial<ReadDemand> = {}, unreachable = -1): number | null => {
    const causality = { wroteAt: 0, sawAt: 0, sawOn: -1 }
    const reader = { canReach: ({ id }: Shard) => id !== unreachable }
    return (
      router.choose(plan, { tier: 1, rule: null, consistency: 'session', causality, ...demand }, NOW, reader)?.shard
        .id ?? null
    )
  }
  return { table, plan, router, choose }
}

const three: Topology = { version: 1, shards: [shard(0, 'primary'), shard(1, 'replica'), shard(2, 'replica')] }
const wrote = (wroteAt: number) => ({ causality: { wroteAt, sawAt: 0, sawOn: -1 } })

test('the first pool that has a usable shard counts', () => {
  fresh(1, NOW - 5)
  fresh(2, NOW - 5)
  const own = { name: 'own', shards: ['db2'], role: 'any' } as const
  assert.equal(open(policy({}, ['own', 'all'], [own]), three).choose(), 2)
  assert.equal(open(policy({}, ['own', 'replicas'], [own]), three).choose({}, 2), 1)
  assert.equal(open(policy({}, ['primary']), three).choose(), 0)
})

test('the pools of a rule stand for those of its clients’ tier', () => {
  fresh(1, NOW - 5)
  fresh(2, NOW - 5)
  const own = { name: 'own', shards: ['db2'], role: 'any' } as const
  const [elsewhere, as] = [{ ...EMPTY_RULE, pools: ['own'] }, EMPTY_RULE]
  const primary = policy({}, ['primary'], [own])
  const { choose, plan, table } = open({ ...primary, rules: [elsewhere, as] }, three)
  assert.deepEqual([choose({ rule: elsewhere }), choose({ rule: as }), choose()], [2, 0, 0])
  assert.deepEqual(
    [placesOf(plan, 1, elsewhere), placesOf(plan, 1, as)].map((places) => places?.reachesReplicas),
    [true, false],
  )
  assert.deepEqual([reachesReplicas(plan), table.isReadable(three.shards[2] as Shard)], [true, true])
  const without = open(primary, three)
  assert.deepEqual([reachesReplicas(without.plan), without.table.isReadable(three.shards[2] as Shard)], [false, false])
})

test('a shard without room is passed over as long as another pool has some, and is better than none', () => {
  fresh(1, NOW - 5)
  fresh(2, NOW - 5)
  const rules = policy({}, ['replicas', 'primary'])
  assert.equal(open(rules, three, { 1: 5 }).choose(), 2)
  assert.equal(open(rules, three, { 1: 5, 2: 9 }).choose(), 0)
  assert.equal(open(rules, three, { 0: 5, 1: 6, 2: 5 }).choose(), 2)
})

test('a replica that lacks what the session wrote is none, unless eventual is enough', () => {
  fresh(1, NOW - 50)
  fresh(2, NOW - 10)
  const { choose } = open(policy({}, ['replicas']), three)
  assert.equal(choose(wrote(NOW - 20)), 2)
  assert.equal(choose(wrote(NOW - 5)), null)
  assert.notEqual(choose({ ...wrote(NOW - 5), consistency: 'eventual' }), null)
})

test('a read waits for replicas of its first pool that lack nothing but what its session wrote', () => {
  const worth = (rules: Policy, demand: Partial<ReadDemand>, unreachable = -1): boolean => {
    const { plan, router } = open(rules, three)
    const causality = { wroteAt: 0, sawAt: 0, sawOn: -1 }
    const reader = { canReach: ({ id }: Shard) => id !== unreachable }
    return router.isWorthWaiting(
      plan,
      { tier: 1, rule: null, consistency: 'session', causality, ...demand },
      NOW,
      reader,
    )
  }
  fresh(1, NOW - 50)
  fresh(2, NOW - 10)
  const replicas = policy({}, ['replicas', 'primary'])
  assert.equal(worth(replicas, wrote(NOW - 5)), true)
  assert.equal(worth(replicas, wrote(NOW - 100)), false)
  assert.equal(worth(replicas, { ...wrote(NOW - 5), consistency: 'eventual' }), false)
  assert.equal(worth(policy({}, ['all']), wrote(NOW - 5)), false)
  assert.equal(worth(policy({}, ['primary', 'replicas']), wrote(NOW - 5)), false)
  assert.equal(worth(policy({ maxLagMs: 20 }, ['replicas']), wrote(NOW - 5), 2), false)
  fresh(1, NOW - 50, NOW - 5000)
  assert.equal(worth(replicas, wrote(NOW - 5), 2), false)
})

test('a replica that nobody has heard of lately, or that is too far behind, is none', () => {
  fresh(1, NOW - 10, NOW - 1000)
  fresh(2, NOW - 9000)
  assert.equal(open(policy({}, ['replicas']), three).choose(), 2)
  assert.equal(open(policy({ maxLagMs: 5000 }, ['replicas']), three).choose({ consistency: 'eventual' }), null)
})

test('a session does not go back in time from one shard to another', () => {
  const causality = { wroteAt: 10, sawAt: 500, sawOn: 1 }
  assert.equal(requiredFreshness(causality, 1, 400), 10)
  assert.equal(requiredFreshness(causality, 2, 400), 400)
  assert.equal(requiredFreshness(causality, 2, 900), 500)
})

test('replicas that are down, and pools of other roles, are not in the plan', () => {
  const topology: Topology = {
    version: 1,
    shards: [shard(0, 'primary'), shard(1, 'replica', { up: false }), shard(2, 'unknown'), shard(3, 'replica')],
  }
  const { plan, table } = open(policy({}, ['all']), topology)
  const ids = plan.tiers[0]?.pools[0]?.map((candidate) => candidate.shard.id)
  assert.deepEqual(ids, [0, 3])
  assert.equal(table.isReadable(shard(3, 'replica')), true)
  assert.equal(table.isReadable(shard(3, 'replica', { port: 1 })), false)
  assert.equal(table.isReadable(shard(1, 'replica')), false)
})

test('nobody may leave the primary when policy, consistency or topology are against it', () => {
  const may = (rules: Policy, topology = three) => open(rules, topology).plan.tiers[1]?.mayLeave
  assert.equal(may(policy({}, ['all'])), true)
  assert.equal(may(policy({ reads: 'primary' }, ['all'])), false)
  assert.equal(may(policy({}, ['primary'])), false)
  assert.equal(
    may({ ...policy({}, ['all']), tiers: NO_POLICY.tiers.map((tier) => ({ ...tier, pools: ['all'] })) }),
    false,
  )
  assert.equal(may(policy({}, ['all']), { version: 1, shards: [shard(0, 'primary')] }), false)
})

test('a shard that comes back starts slowly, those of the beginning do not', () => {
  const { table } = open(policy({}, ['replicas']), three)
  const since = () => table.of('main')?.tiers[0]?.pools[0]?.map((candidate) => candidate.since)
  assert.deepEqual(since(), [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY])
  const [primary, one, two] = three.shards as [Shard, Shard, Shard]
  table.rebuild(policy({}, ['replicas']), { version: 2, shards: [primary, one, { ...two, up: false }] }, 500)
  table.rebuild(policy({}, ['replicas']), { version: 3, shards: [primary, one, two] }, 900)
  assert.deepEqual(since(), [Number.NEGATIVE_INFINITY, 900])
})

test('everything that is chosen or not can be explained', () => {
  fresh(1, NOW - 50)
  const { router, plan } = open(policy({ maxLagMs: 5000 }, ['all']), three)
  const reasons = (demand: ReadDemand) =>
    plan.tiers[0]?.pools[0]?.map((candidate) => router.standing(plan, candidate, demand, NOW).reason)
  fresh(2, NOW - 9000)
  const demand = { tier: 0, rule: null, consistency: 'session', ...wrote(NOW - 20) } as const
  assert.deepEqual(reasons(demand), [
    'primary, always up to date; 0 of 5 slots, 1.00 ms',
    'as of 50 ms ago: 30 ms short of what the session has written or seen',
    'as of 9000 ms ago: more than routing.max_lag',
  ])
  fresh(2, NOW - 5, NOW - 5000)
  assert.equal(reasons(demand)?.[2], 'nothing is known of how far it has got')
})

test('a suspect replica gets nothing, and slowly more once it is none any more; a suspect primary is used', () => {
  fresh(1, NOW - 5)
  const suspect = { health: 'suspect' as const }
  const shards = [shard(0, 'primary', suspect), shard(1, 'replica', suspect)]
  const { table, choose } = open(policy({}, ['all']), { version: 1, shards })
  assert.equal(choose(), 0)
  const rules = policy({}, ['replicas'])
  table.rebuild(rules, { version: 2, shards: [shard(0, 'primary'), shard(1, 'replica')] }, 500)
  assert.equal(table.of('main')?.tiers[1]?.pools[0]?.[0]?.since, 500)
})
