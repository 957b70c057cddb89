import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FEATURE, FEATURE_COUNT, type FeatureName } from '../../analyzer/feature-schema.ts'
import { makeExamples, splitByTime } from './dataset.ts'
import type { HistoryRow } from './history-row.ts'
import { labelConnections } from './labels.ts'

function row(
  connection: string,
  changes: Partial<HistoryRow> = {},
  values: Partial<Record<FeatureName, number>> = {},
): HistoryRow {
  const features = new Float32Array(FEATURE_COUNT).fill(Number.NaN)
  for (const [name, value] of Object.entries(values)) features[FEATURE[name as FeatureName]] = value
  return {
    time: 1000,
    connectedAt: 1000,
    connection,
    kind: 'running',
    queries: 0,
    user: 'u',
    database: 'd',
    application: '',
    subnet: 'local',
    port: 5,
    tier: null,
    proposed: null,
    rule: null,
    source: 'default',
    features,
    ...changes,
  }
}

const NOBODY = { truths: [], corrections: [], outcomes: false }

describe('labels', () => {
  it('are what the laboratory knows, found by port and time', () => {
    const truth = { family: 'f', tier: 'low', kind: 'forged', port: 5, connectedAt: 1500 } as const
    const rows = [row('a'), row('b', { connectedAt: 9000, time: 9000 })]
    const labels = labelConnections(rows, { ...NOBODY, truths: [truth] })
    assert.deepEqual(
      labels.map(({ connection, tier, family, kind }) => [connection, tier, family, kind]),
      [['a', 'low', 'f', 'forged']],
    )
  })

  it('are corrections before rules, and nothing when nobody says anything', () => {
    const corrections = [{ user: 'u', database: '*', application: 'x*', tier: 'high' }] as const
    const rows = [row('a', { application: 'xy', rule: 'low' }), row('b', { rule: 'low' }), row('c')]
    const labels = labelConnections(rows, { ...NOBODY, corrections })
    assert.deepEqual(
      labels.map(({ connection, tier, source, weight }) => [connection, tier, source, weight]),
      [
        ['a', 'high', 'correction', 10],
        ['b', 'low', 'rule', 1],
      ],
    )
  })

  it('read off behaviour are of clear cases, and teach only what was long before', () => {
    const busy = { busySlow: 0.9, thinkTime: 1, rows: 12, copies: 0 }
    const rows = [0, 1, 4, 16].map((queries) => row('a', { queries }))
    rows.push(row('a', { kind: 'end', queries: 20, time: 2000 }, busy))
    rows.push(row('b', { kind: 'end', queries: 20 }, { ...busy, busySlow: 0.3 }))
    const labels = labelConnections(rows, { ...NOBODY, outcomes: true })
    assert.deepEqual(
      labels.map(({ connection, tier, mostQueries }) => [connection, tier, mostQueries]),
      [['a', 'background', 5]],
    )
    assert.deepEqual(
      makeExamples(rows, labels).map(({ row: { queries } }) => queries),
      [0, 1, 4],
    )
  })
})

describe('the split', () => {
  it('is by time, and no connection is in two parts', () => {
    const rows = Array.from({ length: 100 }, (_, n) =>
      [0, 1].map((queries) => row(`c${n}`, { queries, connectedAt: n, time: n + 50 * queries, rule: 'low' })),
    ).flat()
    const { training, validation, test } = splitByTime(makeExamples(rows, labelConnections(rows, NOBODY)))
    assert.deepEqual([training.length, validation.length, test.length], [120, 40, 40])
    const last = Math.max(...training.map((example) => example.row.connectedAt))
    assert.ok(validation.every((example) => example.row.connectedAt > last))
  })
})
