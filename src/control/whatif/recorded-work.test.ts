import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FEATURE, FEATURE_COUNT, type FeatureName } from '../../analyzer/feature-schema.ts'
import { seededRandom } from '../../util/seeded-random.ts'
import type { HistoryRow } from '../learning/history-row.ts'
import { type Recording, type RecordingOptions, recordingOf } from './recorded-work.ts'

const BEGAN = 1e12

function row(changes: Partial<HistoryRow>, features: Partial<Record<FeatureName, number>> = {}): HistoryRow {
  const values = new Float32Array(FEATURE_COUNT).fill(Number.NaN)
  for (const [name, value] of Object.entries(features)) values[FEATURE[name as FeatureName]] = value
  return {
    time: BEGAN + 1000,
    connectedAt: BEGAN,
    connection: 'a',
    kind: 'running',
    queries: 10,
    user: 'web',
    database: 'shop',
    application: 'checkout',
    subnet: 'local',
    port: 1,
    tier: 'high',
    proposed: 'low',
    rule: null,
    source: 'model',
    features: values,
    ...changes,
  }
}

function recorded(rows: readonly HistoryRow[], changes: Partial<RecordingOptions> = {}): Recording {
  const all = { from: 0, to: Number.POSITIVE_INFINITY, scale: 1, mostUses: 1e6 }
  return recordingOf(rows, { random: seededRandom(3), ...all, ...changes })
}

test('as many transactions as queries say, between the rows of their connection', () => {
  const rows = [row({ time: BEGAN + 5000, queries: 40 }, { queriesPerTransaction: 3 }), row({})]
  const { uses, connections, from, to, isCut } = recorded(rows)
  assert.deepEqual(connections, [{ user: 'web', database: 'shop', application: 'checkout' }])
  assert.equal(uses.length, 20)
  assert.equal(uses.filter(({ at }) => from + at <= BEGAN + 1000).length, 10)
  assert.ok(from >= BEGAN && to <= BEGAN + 5000 && !isCut)
  assert.deepEqual(
    uses.map(({ at }) => at),
    uses.map(({ at }) => at).toSorted((a, b) => a - b),
  )
})

test('how long they take has the mean and spread that were recorded', () => {
  const features = { transactionLength: 5, duration: 1, durationSpread: 2 }
  const { uses } = recorded([row({ queries: 20_000 }, features)])
  const logs = uses.map(({ serviceMs }) => Math.log2(serviceMs))
  const mean = logs.reduce((a, b) => a + b) / logs.length
  const spread = Math.sqrt(logs.reduce((sum, log) => sum + (log - mean) ** 2, 0) / logs.length)
  assert.ok(Math.abs(mean - 5) < 0.1 && Math.abs(spread - 2) < 0.1, `${mean}, ${spread}`)
  assert.ok(recorded([row({}, { duration: 3 })]).uses.every(({ serviceMs }) => serviceMs === 8))
})

test('reads are single queries that select, and whatever says read only', () => {
  const share = (features: Partial<Record<FeatureName, number>>): number => {
    const { uses } = recorded([row({ queries: 4000 }, features)])
    return uses.filter(({ isRead }) => isRead).length / uses.length
  }
  assert.ok(Math.abs(share({ selects: 0.25 }) - 0.25) < 0.03)
  assert.equal(share({ selects: 1, queriesPerTransaction: 4 }), 0)
  assert.equal(share({ selects: 1, queriesPerTransaction: 4, readOnly: 1 }), 1)
})

test('a tier that a rule gave is the rule’s, not the connection’s', () => {
  assert.deepEqual(new Set(recorded([row({})]).uses.map(({ tier }) => tier)), new Set(['high']))
  assert.deepEqual(new Set(recorded([row({ source: 'rule' })]).uses.map(({ tier }) => tier)), new Set(['low']))
})

test('more load than recorded, less time, and no more than can be simulated', () => {
  const twice = recorded([row({})], { scale: 2 })
  assert.deepEqual([twice.uses.length, twice.connections.length], [20, 2])
  const half = recorded([row({ queries: 1000 })], { to: BEGAN + 500 })
  assert.ok(half.uses.length > 400 && half.uses.length < 600 && half.to <= BEGAN + 500)
  const cut = recorded([row({})], { mostUses: 4 })
  assert.deepEqual([cut.uses.length, cut.isCut], [4, true])
  assert.deepEqual(recorded([row({ queries: 0 })]).uses, [])
})
