import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Demand, LIMITS, ScaleSimulation, type SimulationOptions } from './scale-plan.fixture.ts'

const HOUR = 3600
const BASE = { replicas: 1, minShards: 2, maxShards: 8, slots: 20, readySeconds: 10 }

/** Between −1 and 1, the same for the same seed. */
function noiseOf(seed: number): (second: number) => number {
  return (second) => {
    const value = Math.sin((second + 1) * 12.9898 + seed * 78.233) * 43_758.5453
    return 2 * (value - Math.floor(value)) - 1
  }
}

const seed = fc.integer({ min: 1, max: 100_000 })
const simulate = (options: Partial<SimulationOptions> & { readonly demand: Demand; readonly seconds: number }) =>
  new ScaleSimulation({ ...BASE, ...options }).run()

test('a load that does not change gets what it needs, and then nothing changes any more', () => {
  const property = fc.property(fc.double({ min: 0, max: 130, noNaN: true }), seed, (reads, seed) => {
    const run = simulate({ seconds: 2 * HOUR, demand: () => ({ reads, writes: 2 }), noise: noiseOf(seed) })
    const settled = HOUR
    assert.deepEqual(
      run.changes.filter(({ second }) => second > settled),
      [],
      JSON.stringify(run.changes),
    )
    const directions = run.changes.map(({ verdict }) => verdict.action)
    const turns = directions.filter((action, at) => at > 0 && action !== directions[at - 1]).length
    assert.ok(turns <= 1, `turned ${turns} times: ${directions.join()}`)
  })
  fc.assert(property, { numRuns: 15 })
})

test('limits hold under any load, and nothing is taken away that was not added', () => {
  const stretch = fc.record({ reads: fc.integer({ min: 0, max: 400 }), seconds: fc.integer({ min: 30, max: 1200 }) })
  const property = fc.property(
    fc.array(stretch, { minLength: 1, maxLength: 12 }),
    fc.integer({ min: 0, max: 3 }),
    fc.integer({ min: 1, max: 5 }),
    seed,
    (stretches, replicas, room, seed) => {
      const minShards = 1
      const maxShards = 1 + replicas + room
      const run = simulate({
        ...{ replicas, minShards, maxShards },
        seconds: stretches.reduce((sum, { seconds }) => sum + seconds, 0),
        demand: demandOf(stretches),
        noise: noiseOf(seed),
      })
      for (const { shards } of run.changes) assert.ok(shards <= maxShards && shards >= 1 + replicas)
      for (const [at, { second, verdict }] of run.changes.entries()) {
        const before = run.changes[at - 1]
        if (before === undefined) continue
        const cooldown = verdict.action === 'add' ? LIMITS.cooldownOutMs : LIMITS.cooldownInMs
        assert.ok(second - before.second >= cooldown / 1000, JSON.stringify(run.changes))
      }
    },
  )
  fc.assert(property, { numRuns: 25 })
})

test('a step in the load is met, and what was added goes when the step is over', () => {
  const property = fc.property(fc.integer({ min: 30, max: 120 }), seed, (reads, seed) => {
    const begin = 300
    const end = begin + 1200
    const run = simulate({
      seconds: end + 2 * HOUR,
      demand: (second) => ({ reads: second >= begin && second < end ? reads : 5, writes: 1 }),
      noise: noiseOf(seed),
    })
    const needed = Math.ceil(reads / BASE.slots)
    const perShard = BASE.readySeconds + LIMITS.cooldownOutMs / 1000 + LIMITS.sustainMs / 1000
    const [first] = run.changes
    assert.ok(first !== undefined && first.second <= begin + 2 + LIMITS.sustainMs / 1000, JSON.stringify(first))
    assert.ok(run.overloaded <= needed * perShard, `${run.overloaded} s without room for ${reads} reads`)
    const most = Math.max(...run.changes.map(({ shards }) => shards))
    assert.ok(most - 1 <= needed + 2, `${most} shards for ${reads} reads`)
    assert.equal(run.shards, 2, `as before in the end: ${JSON.stringify(run.changes.at(-1))}`)
  })
  fc.assert(property, { numRuns: 10 })
})

test('a load that comes and goes soon is not followed for ever', () => {
  const property = fc.property(fc.integer({ min: 130, max: 300 }), seed, (period, seed) => {
    const run = simulate({
      seconds: 4 * HOUR,
      demand: (second) => ({ reads: Math.floor(second / period) % 2 === 0 ? 35 : 5, writes: 1 }),
      noise: noiseOf(seed),
    })
    const late = run.changes.filter(({ second }) => second > 2 * HOUR).length
    // Without the memory of regrets it would be two for each period.
    assert.ok(late <= 2, `${late} changes in the second half, period ${period} s`)
  })
  fc.assert(property, { numRuns: 6 })
})

test('writes that wait get no replica', () => {
  const property = fc.property(fc.integer({ min: 15, max: 200 }), seed, (writes, seed) => {
    const run = simulate({ seconds: HOUR, demand: () => ({ reads: 4, writes }), noise: noiseOf(seed) })
    assert.deepEqual(run.changes, [])
  })
  fc.assert(property, { numRuns: 10 })
})

test('the cap on shard-hours ends additions', () => {
  const property = fc.property(fc.integer({ min: 1, max: 6 }), seed, (shardHours, seed) => {
    const run = simulate({
      seconds: 6 * HOUR,
      limits: { shardHours },
      demand: (second) => ({ reads: 20 + second / 150, writes: 1 }),
      noise: noiseOf(seed),
    })
    let lived = 0
    let at = 0
    let added = 0
    for (const { second, verdict } of run.changes) {
      lived += (added * (second - at)) / HOUR
      at = second
      if (verdict.action === 'add') assert.ok(lived <= shardHours + 0.1, `${lived} of ${shardHours} hours`)
      added += verdict.action === 'add' ? 1 : -1
    }
    assert.ok(run.reasons.some((reason) => /hours today/.test(reason)) || run.hours <= shardHours)
  })
  fc.assert(property, { numRuns: 4 })
})

test('a driver that fails is asked less and less often', () => {
  const run = simulate({ seconds: 4 * HOUR, demand: () => ({ reads: 60, writes: 1 }), fails: () => true })
  assert.ok(run.changes.length >= 4 && run.changes.length <= 10, `${run.changes.length} attempts in four hours`)
  const gaps = run.changes.map(({ second }, at) => second - (run.changes[at - 1]?.second ?? 0)).slice(1)
  for (const [at, gap] of gaps.entries()) if (at > 0) assert.ok(gap >= (gaps[at - 1] ?? 0))
})

function demandOf(stretches: readonly { readonly reads: number; readonly seconds: number }[]): Demand {
  return (second) => {
    let from = 0
    for (const { reads, seconds } of stretches) {
      if (second < from + seconds) return { reads, writes: 1 }
      from += seconds
    }
    return { reads: 0, writes: 1 }
  }
}
