import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Measurement } from './measure.ts'
import { type Cell, type ReportedPeer, throughputFigures, throughputTable } from './throughput-report.ts'

const peers: [ReportedPeer, ReportedPeer, ReportedPeer] = [
  { name: 'direct', pooling: () => 'none' },
  { name: 'pgbouncer', pooling: () => 'transaction' },
  { name: 'switchyard', pooling: () => 'transaction' },
]

function measured(p50Ms: number, cpuUsPerTx: number | null): Measurement {
  return { tps: 1000, p50Ms, p99Ms: p50Ms * 3, cpuUsPerTx, failed: 1, complaint: '' }
}

function cell(rounds: [direct: number, theirs: [number, number], ours: [number, number]][]): Cell {
  return {
    mode: 'simple',
    clients: 16,
    rounds: rounds.map(([direct, theirs, ours]) => ({
      direct: measured(direct, null),
      pgbouncer: measured(...theirs),
      switchyard: measured(...ours),
    })),
  }
}

test('the CPU ratio is taken within each round, and its median reported', () => {
  // In the second round the machine was twice as slow for both.
  const figures = throughputFigures(
    [
      cell([
        [1, [2, 10], [2, 12]],
        [1, [2, 20], [2, 24]],
        [1, [2, 10], [2, 30]],
      ]),
    ],
    peers,
  )
  assert.equal(figures.cpu_ratio_16, 1.2)
  assert.deepEqual(figures.cpu_ratio_16_rounds, [1.2, 1.2, 3])
})

test('added latency is over direct of the same round, and compared with what PgBouncer adds', () => {
  const figures = throughputFigures(
    [
      cell([
        [1, [2, 10], [2.5, 10]],
        [5, [6, 10], [6.5, 10]],
      ]),
    ],
    peers,
  )
  assert.equal(figures.added_p50_ratio_16, 1.5)
  assert.deepEqual(figures.added_p50_ms, {
    direct: { simple: { 16: null } },
    pgbouncer: { simple: { 16: 1 } },
    switchyard: { simple: { 16: 1.5 } },
  })
})

test('where PgBouncer adds nothing, there is no ratio', () => {
  assert.equal(throughputFigures([cell([[2, [1, 10], [1.5, 10]]])], peers).added_p50_ratio_16, null)
})

test('a peer that was left out leaves nulls, not zeros', () => {
  const whole = cell([[1, [2, 10], [3, 11]]])
  const rounds = whole.rounds.map(({ direct, switchyard }) => ({ direct, switchyard }) as Cell['rounds'][number])
  const figures = throughputFigures([{ ...whole, rounds }], [peers[0], peers[2]])
  assert.equal(figures.cpu_ratio_16, null)
  // Not run at all.
  assert.equal(figures.cpu_ratio_64, null)
  assert.equal(figures.added_p50_ratio_paced_16, null)
  assert.deepEqual(figures.cpu_us_per_tx, { direct: { simple: { 16: null } }, switchyard: { simple: { 16: 11 } } })
})

test('failures are summed over rounds, and each peer has a line in the table', () => {
  const cells = [
    cell([
      [1, [2, 10], [3, 11]],
      [1, [2, 10], [3, 11]],
    ]),
  ]
  assert.deepEqual(throughputFigures(cells, peers).failed, {
    direct: { simple: { 16: 2 } },
    pgbouncer: { simple: { 16: 2 } },
    switchyard: { simple: { 16: 2 } },
  })
  const lines = throughputTable(cells, peers).split('\n')
  assert.equal(lines.length, 2 + 3)
  assert.match(
    lines[4]!,
    /^simple {2}16 {7}switchyard +transaction +1000 +3\.000 +9\.000 +2\.000 +11\.0 +1\.10 +2\.00 +2$/,
  )
})

test('this checkout is compared with the one before within each round', () => {
  const round = (before: number, now: number) => ({ before: measured(2, before), switchyard: measured(2, now) })
  const cells: Cell[] = [{ mode: 'simple', clients: 64, rounds: [round(10, 11), round(20, 21), round(10, 12)] }]
  const two: ReportedPeer[] = [
    { name: 'before', pooling: () => 'transaction' },
    { name: 'switchyard', pooling: () => 'transaction' },
  ]
  const figures = throughputFigures(cells, two)
  assert.deepEqual(figures.cpu_over_before, { simple: { 64: 1.1 } })
  assert.deepEqual(figures.cpu_over_before_rounds, { simple: { 64: [1.1, 1.05, 1.2] } })
  const [header = '', row = ''] = throughputTable(cells, two)
    .split('\n')
    .filter((line) => /CPU|switchyard/.test(line))
  assert.match(header, /CPU ÷ before +failed$/)
  assert.match(row, /1\.10 +3$/)
})
