import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Candidate, costOf, ReplicaChoice } from './replica-choice.ts'

function candidate(id: number, changes: { busy?: number; ms?: number; far?: boolean; since?: number } = {}): Candidate {
  const { busy = 0, ms = 1, far = false, since = Number.NEGATIVE_INFINITY } = changes
  const rest = {
    host: '',
    address: '',
    port: 1,
    up: true,
    maxConnections: 9,
    slots: null,
    zone: null,
    dataDirectory: null,
    health: 'up' as const,
    adjustment: null,
  }
  return {
    shard: { id, name: `db${id}`, group: 'main', role: 'replica', ...rest },
    isPrimary: false,
    load: { busy, limit: 9, peakMs: () => ms },
    isFar: far,
    since,
  }
}

test('cost is latency times work, dearer when far or fresh', () => {
  const cost = (changes: Parameters<typeof candidate>[1]) => costOf(candidate(1, changes), 10_000, 1000)
  assert.equal(cost({ busy: 3, ms: 2 }), 8)
  assert.equal(cost({ far: true }), 3)
  assert.equal(cost({ since: 9500 }), 2)
  assert.equal(cost({ since: 10_000 }), 10)
  assert.equal(cost({ since: 9000 }), 1)
})

test('an overloaded shard is four times as dear', () => {
  const strained = candidate(1, { busy: 3, ms: 2 })
  const shard = { ...strained.shard, health: 'overloaded' as const }
  assert.equal(costOf({ ...strained, shard }, 10_000, 1000), 32)
})

test('of two the cheaper one is picked, of one that one, of none nothing', () => {
  const choice = new ReplicaChoice(() => 0)
  choice.begin()
  assert.equal(choice.pick(0, 0), null)
  choice.offer(candidate(1, { busy: 5 }))
  assert.equal(choice.pick(0, 0)?.shard.id, 1)
  choice.offer(candidate(2, { busy: 4 }))
  assert.equal(choice.pick(0, 0)?.shard.id, 2)
})

test('of many, any two are compared, so that nobody is the first for everybody', () => {
  let state = 7
  const choice = new ReplicaChoice(() => {
    state = (state * 48271) % 2147483647
    return state / 2147483647
  })
  const picked = new Map<number, number>()
  const all = [0, 1, 2, 3, 4].map((id) => candidate(id, { busy: id }))
  for (let round = 0; round < 5000; round++) {
    choice.begin()
    for (const each of all) choice.offer(each)
    const id = choice.pick(0, 0)?.shard.id ?? -1
    picked.set(id, (picked.get(id) ?? 0) + 1)
  }
  // Of ten pairs the cheapest is in four, the next is the cheaper one in three …; the dearest never is.
  const share = (id: number) => Math.round((picked.get(id) ?? 0) / 500)
  assert.deepEqual([0, 1, 2, 3, 4].map(share), [4, 3, 2, 1, 0])
})
