import assert from 'node:assert/strict'
import { test } from 'node:test'
import { recordsOf, TestRouter } from '../../router-control.fixture.ts'
import { writePool } from '../../router-memory.fixture.ts'
import { StatsSampler } from '../../stats/stats-sampler.ts'
import { showStats } from './show-stats.ts'
import { showStatsAverages } from './show-stats-averages.ts'
import { showStatsTotals } from './show-stats-totals.ts'
import { showTotals } from './show-totals.ts'

function busyRouter(): { router: TestRouter; stats: StatsSampler } {
  const router = new TestRouter()
  const stats = new StatsSampler(router)
  router.now += 10_000
  writePool(router, 0, { user: 'alice', transactions: 100, transactionMs: 500, queries: 300, bytesReceived: 5_000 })
  writePool(router, 1, { user: 'bob', transactions: 100, transactionMs: 300, waitMs: 40, serverAssignments: 20 })
  writePool(router, 2, { database: 'shop', transactions: 1, errors: 9 })
  return { router, stats }
}

test('statistics are by database, times in microseconds, averages per second or per event', () => {
  const { router, stats } = busyRouter()
  const [app, shop] = recordsOf(showStats, router, stats)
  assert.deepEqual(
    { ...app },
    {
      ...app,
      database: 'app',
      total_xact_count: 200,
      total_query_count: 300,
      total_received: 5_000,
      total_xact_time: 800_000,
      total_wait_time: 40_000,
      total_server_assignment_count: 20,
      avg_xact_count: 20,
      avg_query_count: 30,
      avg_recv: 500,
      avg_xact_time: 4_000,
      avg_wait_time: 2_000,
    },
  )
  assert.deepEqual([shop?.database, shop?.total_xact_count, shop?.total_errors], ['shop', 1, 9])
})

test('the totals and the averages are the halves of the statistics', () => {
  const columns = (command: typeof showStats): readonly string[] => command.columns.map(({ name }) => name)
  const halves = new Set([...columns(showStatsTotals), ...columns(showStatsAverages)])
  assert.deepEqual(new Set(columns(showStats)), halves)
  assert.ok(columns(showStatsAverages).every((name) => name === 'database' || name.startsWith('avg_')))
  const { router, stats } = busyRouter()
  assert.equal(recordsOf(showStatsTotals, router, stats)[0]?.total_xact_count, 200)
  assert.equal(recordsOf(showStatsAverages, router, stats)[0]?.avg_xact_count, 20)
})

test('the totals over all databases are one line per figure', () => {
  const { router, stats } = busyRouter()
  const figures = new Map(recordsOf(showTotals, router, stats).map((row) => [row.name, row.value]))
  assert.equal(figures.get('total_xact_count'), 201)
  assert.equal(figures.get('total_errors'), 9)
  assert.equal(figures.get('avg_xact_count'), 20)
  assert.equal(
    recordsOf(showTotals, new TestRouter()).every((row) => row.value === 0),
    true,
  )
})
