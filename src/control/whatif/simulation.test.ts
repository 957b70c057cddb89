import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NO_POLICY, type Policy, type TierPolicy } from '../../shard/policy.ts'
import { EMPTY_RULE } from '../../shard/tier-rule.fixture.ts'
import type { Shard, Topology } from '../../shard/topology.ts'
import { seededRandom } from '../../util/seeded-random.ts'
import type { Outcome } from './outcome.ts'
import { Simulation } from './simulation.ts'
import type { WantedTransaction, Work } from './work.ts'

const [HIGH, MEDIUM, LOW] = [0, 1, 2]

function shard(id: number, slots: number, role: Shard['role'] = 'primary'): Shard {
  const health = { up: true, health: 'up', adjustment: null } as const
  const place = { host: '', address: '10.0.0.1', port: 5432, zone: null, dataDirectory: null, ...health }
  return { id, name: `db${id}`, group: 'main', role, maxConnections: 100, slots, ...place }
}

const topology = (...shards: Shard[]): Topology => ({ version: 1, shards })

function policy(changes: readonly Partial<TierPolicy>[], more: Partial<Policy> = {}): Policy {
  return { ...NO_POLICY, tiers: NO_POLICY.tiers.map((tier, code) => ({ ...tier, ...changes[code] })), ...more }
}

/** Every transaction is of a connection of its own. */
function work(transactions: readonly Partial<WantedTransaction>[]): Work {
  const all = transactions.map((each, session) => ({
    at: 0,
    session,
    serviceMs: 10,
    tier: MEDIUM,
    isRead: false,
    group: 'main',
    rule: -1,
    ...each,
  }))
  return { durationMs: all.at(-1)?.at ?? 0, sessions: all.length, transactions: all }
}

function run(what: Work, shards: Topology, rules: Policy = NO_POLICY, queryWaitMs = 0): Outcome {
  return Simulation.run(what, { topology: shards, policy: rules, queryWaitMs, lagMs: 5, random: seededRandom(1) })
}

const tierOf = (outcome: Outcome, code: number) => {
  const found = outcome.tiers[code]
  assert.ok(found)
  return found
}

test('one server and arrivals by chance: the mean wait is that of M/D/1', () => {
  const random = seededRandom(7)
  const load = 0.8
  const transactions: Partial<WantedTransaction>[] = []
  for (let at = 0, n = 0; n < 200_000; n++) {
    at += -Math.log(1 - random()) * (10 / load)
    transactions.push({ at })
  }
  const outcome = run(work(transactions), topology(shard(0, 1)), policy([], {}))
  const expected = (load * 10) / (2 * (1 - load))
  const { meanWaitMs } = tierOf(outcome, MEDIUM)
  assert.ok(Math.abs(meanWaitMs - expected) < expected * 0.05, `${meanWaitMs} instead of ${expected}`)
  assert.ok(Math.abs((outcome.shards[0]?.load ?? 0) - load) < 0.02)
})

test('ten at once on two servers: each pair waits for the one before it', () => {
  const outcome = run(work(Array.from({ length: 10 }, () => ({}))), topology(shard(0, 2)))
  const { meanWaitMs, maxWaitMs, transactions } = tierOf(outcome, MEDIUM)
  assert.deepEqual([meanWaitMs, maxWaitMs, transactions], [20, 40, 10])
  assert.deepEqual([outcome.durationMs, outcome.shards[0]?.load, outcome.shards[0]?.mostBusy], [50, 1, 2])
})

test('what is kept for the high tier is there when it comes', () => {
  const low = Array.from({ length: 200 }, () => ({ tier: LOW, serviceMs: 1000 }))
  const high = Array.from({ length: 50 }, (_, n) => ({ tier: HIGH, at: 100 + n * 20, serviceMs: 10 }))
  const both = work([...low, ...high])
  const flat = run(both, topology(shard(0, 10)))
  assert.ok(tierOf(flat, HIGH).p50WaitMs > 100)
  const keeps = policy([{ reserved: { slots: 2, percent: 0 }, kept: { slots: 2, percent: 0 } }])
  const kept = run(both, topology(shard(0, 10)), keeps)
  assert.equal(tierOf(kept, HIGH).maxWaitMs, 0)
  assert.equal(tierOf(kept, LOW).transactions, 200)
})

test('the first of a tier comes first, and a connection asks one thing at a time', () => {
  const outcome = run(
    {
      durationMs: 2,
      sessions: 1,
      transactions: [0, 1, 2].map((at) => ({
        at,
        session: 0,
        serviceMs: 10,
        tier: LOW,
        isRead: false,
        group: 'main',
        rule: -1,
      })),
    },
    topology(shard(0, 8)),
  )
  assert.deepEqual([outcome.durationMs, outcome.shards[0]?.mostBusy, tierOf(outcome, LOW).maxWaitMs], [30, 1, 0])
})

test('queues are as long as they may be, and nobody waits longer than allowed', () => {
  const many = work(Array.from({ length: 20 }, () => ({ tier: LOW, serviceMs: 100 })))
  const short = policy([{}, {}, { queue: 5 }])
  assert.deepEqual(tierOf(run(many, topology(shard(0, 1)), short), LOW).refused, 14)
  const patient = run(many, topology(shard(0, 1)), policy([{}, {}, { queueWaitMs: 450 }]))
  assert.deepEqual([tierOf(patient, LOW).transactions, tierOf(patient, LOW).timedOut], [5, 15])
  assert.equal(tierOf(run(many, topology(shard(0, 1)), NO_POLICY, 250), LOW).timedOut, 17)
  const cut = run(many, topology(shard(0, 1)), policy([{}, {}, { transactionMs: 10 }]))
  assert.deepEqual([tierOf(cut, LOW).cancelled, cut.durationMs], [20, 200])
})

test('what a rule says counts instead of what the tier says', () => {
  const rule = { ...EMPTY_RULE, queueWaitMs: 450, transactionMs: 0 }
  const many = work(Array.from({ length: 20 }, () => ({ tier: LOW, serviceMs: 100, rule: 0 })))
  const strict = policy([{}, {}, { queueWaitMs: 10, transactionMs: 50 }], { rules: [rule] })
  const outcome = tierOf(run(many, topology(shard(0, 1)), strict), LOW)
  assert.deepEqual([outcome.transactions, outcome.timedOut, outcome.cancelled], [5, 15, 0])
  const reads = work([
    { isRead: true, rule: 0 },
    { isRead: true, at: 20 },
  ])
  const onReplicas = policy([{}, { pools: ['replicas'], consistency: 'session' }], {
    routing: { ...NO_POLICY.routing, reads: 'replicas' },
    rules: [{ ...EMPTY_RULE, consistency: 'strong' }],
  })
  const { shards } = run(reads, topology(shard(0, 4), shard(1, 4, 'replica')), onReplicas)
  assert.deepEqual(
    shards.map(({ transactions }) => transactions),
    [1, 1],
  )
})

test('a rule’s clients have no more slots than it allows, and read where it says', () => {
  const rule = { ...EMPTY_RULE, max: { slots: 1, percent: 0 }, queue: 3, pools: ['replicas'] }
  const rules = policy([{}, {}, {}], { rules: [rule], routing: { ...NO_POLICY.routing, reads: 'replicas' } })
  const both = work([
    ...Array.from({ length: 5 }, () => ({ tier: LOW, serviceMs: 100, rule: 0 })),
    { tier: LOW, serviceMs: 100 },
  ])
  const outcome = run(both, topology(shard(0, 4)), rules)
  assert.deepEqual([tierOf(outcome, LOW).refused, outcome.durationMs, outcome.shards[0]?.mostBusy], [1, 400, 2])
  const reads = work([{ isRead: true, rule: 0 }, { isRead: true }])
  const open = { ...rules, tiers: rules.tiers.map((tier) => ({ ...tier, consistency: 'session' as const })) }
  const { shards } = run(reads, topology(shard(0, 4), shard(1, 4, 'replica')), open)
  assert.deepEqual(
    shards.map(({ transactions }) => transactions),
    [1, 1],
  )
})

test('reads go to replicas when the policy says so, and not before these have what the connection wrote', () => {
  const reads = work(Array.from({ length: 100 }, (_, n) => ({ at: n * 10, isRead: true })))
  const shards = topology(shard(0, 4), shard(1, 4, 'replica'), shard(2, 4, 'replica'))
  const onReplicas = policy([{}, { pools: ['replicas', 'primary'], consistency: 'session' }], {
    routing: { ...NO_POLICY.routing, reads: 'replicas' },
  })
  const counts = (outcome: Outcome) => outcome.shards.map(({ transactions }) => transactions)
  assert.deepEqual(counts(run(reads, shards)), [100, 0, 0])
  const [primary, one = 0, two = 0] = counts(run(reads, shards, onReplicas))
  assert.deepEqual([primary, one + two], [0, 100])
  assert.ok(one > 20 && two > 20, `${one} and ${two}`)
  const mixed: Work = {
    durationMs: 100,
    sessions: 1,
    transactions: [
      { at: 0, isRead: false },
      { at: 11, isRead: true },
      { at: 90, isRead: true },
    ].map((each) => ({ ...each, session: 0, serviceMs: 10, tier: MEDIUM, group: 'main', rule: -1 })),
  }
  const [wrote, ...read] = counts(run(mixed, shards, onReplicas))
  assert.deepEqual([wrote, read.reduce((a, b) => a + b)], [2, 1])
})

test('work of a group that is not there is refused', () => {
  const outcome = run(work([{ group: 'elsewhere' }]), topology(shard(0, 1)))
  assert.deepEqual([tierOf(outcome, MEDIUM).refused, tierOf(outcome, MEDIUM).transactions], [1, 0])
})
