import { Counter, Gauge, type Registry } from 'prom-client'
import { CLIENT_STATE_NAMES } from '../../memory/client-slots.ts'
import { SERVER_STATE_NAMES } from '../../memory/server-slots.ts'
import type { PoolCensus } from '../pool-census.ts'
import type { Totals } from '../stats/database-totals.ts'
import { type HistogramSeries, MemoryHistogram, POOL_SHAPE } from './memory-histogram.ts'
import type { HistogramName, ScrapeSnapshot } from './scrape-snapshot.ts'

/** Without those that have no pool yet. */
const CLIENT_STATES = CLIENT_STATE_NAMES.filter((state) => state !== 'free' && state !== 'login')

const POOL_LABELS = ['database', 'user', 'shard'] as const

const COUNTERS: readonly (readonly [name: string, total: keyof Totals, help: string])[] = [
  ['transactions', 'transactions', 'Transactions finished.'],
  ['queries', 'queries', 'Queries finished.'],
  ['received_bytes', 'bytesReceived', 'Bytes received from clients.'],
  ['sent_bytes', 'bytesSent', 'Bytes sent to clients.'],
  ['errors', 'errors', 'Errors that the server answered with.'],
  ['waits', 'waits', 'Transactions that had to wait for a server connection.'],
  ['wait_timeouts', 'waitTimeouts', 'Clients told that they waited too long for a server connection.'],
  ['server_assignments', 'serverAssignments', 'Times a server connection was given to a client.'],
  ['server_connects', 'serverConnects', 'Server connections opened.'],
  ['server_connect_failures', 'serverConnectFailures', 'Server connections that could not be opened.'],
  ['server_login_failures', 'serverLoginFailures', 'Server connections whose login failed.'],
  ['parses', 'parseCount', 'Parse messages of clients.'],
  ['binds', 'bindCount', 'Bind messages of clients.'],
]

const HISTOGRAMS: readonly (readonly [name: HistogramName, sum: keyof Totals, help: string])[] = [
  ['wait', 'waitMs', 'Time transactions waited for a server connection.'],
  ['transaction', 'transactionMs', 'Time from the first message of a transaction to its end.'],
  ['query', 'queryMs', 'Time from a query to its ReadyForQuery.'],
]

/** Counters, distributions and gauges by database, user and shard. `current` is the snapshot of the scrape that runs. */
export function registerPoolMetrics(registry: Registry, current: () => ScrapeSnapshot): void {
  const registers = [registry]
  for (const [name, total, help] of COUNTERS) {
    new Counter({
      name: `switchyard_${name}_total`,
      help,
      labelNames: POOL_LABELS,
      registers,
      collect() {
        this.reset()
        for (const { labels, totals } of current().pools) this.inc({ ...labels }, Math.max(0, totals[total]))
      },
    })
  }
  for (const [name, sum, help] of HISTOGRAMS) {
    new MemoryHistogram(registry, POOL_SHAPE, `switchyard_${name}_seconds`, help, () => seriesOf(current(), name, sum))
  }
  registerGauges(registry, current)
}

function seriesOf(snapshot: ScrapeSnapshot, name: HistogramName, sum: keyof Totals): readonly HistogramSeries[] {
  return snapshot.pools.map(({ labels, totals, histograms }) => ({
    labels,
    buckets: histograms[name],
    sumSeconds: totals[sum] / 1000,
  }))
}

function registerGauges(registry: Registry, current: () => ScrapeSnapshot): void {
  const byState = [...POOL_LABELS, 'state'] as const
  const registers = [registry]
  new Gauge({
    name: 'switchyard_clients',
    help: 'Authenticated clients by state; shard is empty until their first query.',
    labelNames: byState,
    registers,
    collect() {
      this.reset()
      for (const pool of current().census) {
        for (const state of CLIENT_STATES) this.set({ ...labelsOf(pool), state }, pool.clients[state])
      }
    },
  })
  new Gauge({
    name: 'switchyard_servers',
    help: 'Server connections by state.',
    labelNames: byState,
    registers,
    collect() {
      this.reset()
      for (const pool of current().census) {
        if (pool.shard === null) continue
        for (const state of SERVER_STATE_NAMES.slice(1)) this.set({ ...labelsOf(pool), state }, pool.servers[state])
      }
    },
  })
  const gauges: readonly (readonly [name: string, help: string, of: (pool: PoolCensus) => number | null])[] = [
    ['clients_pinned', 'Clients that keep their server connection between transactions.', (pool) => pool.pinned],
    ['longest_wait_seconds', 'How long the first client in the queue has waited.', (pool) => pool.longestWait / 1e6],
    ['pool_size', 'Server connections that the pool may have.', (pool) => pool.size],
    ['pool_paused', '1 while the pool is paused.', (pool) => (pool.paused ? 1 : 0)],
  ]
  for (const [name, help, of] of gauges) {
    new Gauge({
      name: `switchyard_${name}`,
      help,
      labelNames: POOL_LABELS,
      registers,
      collect() {
        this.reset()
        for (const pool of current().census) {
          const value = of(pool)
          if (value !== null) this.set(labelsOf(pool), value)
        }
      },
    })
  }
}

function labelsOf({ database, user, shard }: PoolCensus): { database: string; user: string; shard: string } {
  return { database, user, shard: shard ?? '' }
}
