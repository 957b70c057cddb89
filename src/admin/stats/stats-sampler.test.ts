import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TestRouter } from '../router-control.fixture.ts'
import { writePool } from '../router-memory.fixture.ts'
import { StatsSampler } from './stats-sampler.ts'

const rate = (stats: StatsSampler): number | undefined => stats.averages(stats.snapshot()).get('app')?.queries

test('averages speak of the time since the start, then of the last whole period', () => {
  const router = new TestRouter()
  const stats = new StatsSampler(router)
  router.now += 10_000
  writePool(router, 0, { queries: 100 })
  assert.equal(rate(stats), 10)
  stats.sample()
  router.now += 10_000
  writePool(router, 0, { queries: 1_100 })
  assert.equal(rate(stats), 10)
  stats.sample()
  assert.equal(rate(stats), 100)
  router.now += 10_000
  stats.sample()
  assert.equal(rate(stats), 0)
})

test('what happened before the sampler was made is no part of its averages', () => {
  const router = new TestRouter()
  writePool(router, 0, { queries: 1_000_000 })
  const stats = new StatsSampler(router)
  router.now += 1_000
  assert.equal(rate(stats), 0)
})

test('a started sampler ends periods by itself until it is stopped', async () => {
  const router = new TestRouter()
  const stats = new StatsSampler(router, 5)
  router.now += 1_000
  writePool(router, 0, { queries: 7 })
  stats.start()
  stats.start()
  const keepAlive = setInterval(() => undefined, 1_000)
  const rates: (number | undefined)[] = []
  while (rates.at(-1) !== 0) {
    await new Promise((resolve) => setImmediate(resolve))
    rates.push(rate(stats))
  }
  stats.stop()
  clearInterval(keepAlive)
  assert.equal(rates[0], 7)
})
