import { performance } from 'node:perf_hooks'
import { Region } from '../../src/memory/region.ts'
import { SHARD_RECORDS, SHARD_STATE_F64 } from '../../src/memory/shard-records.ts'
import { Freshness } from '../../src/router/freshness.ts'
import { ReadRouter } from '../../src/router/read-route.ts'
import { RouteTable } from '../../src/router/route-table.ts'
import { NO_POLICY } from '../../src/shard/policy.ts'
import { testShardValue } from '../../src/shard/shard.fixture.ts'
import type { Shard } from '../../src/shard/topology.ts'
import { ReadScan } from '../../src/sql/read-scan.ts'
import { pseudoRandom } from '../../src/util/random.ts'

const ROUNDS = 2_000_000
const WARM_UP = 200_000
const QUERY = Buffer.from('SELECT abalance FROM pgbench_accounts WHERE aid = 4711')

/** What a decision costs, in nanoseconds: which of three shards a read goes to, and whether a query of pgbench's is a read. */
export function routing(): Record<string, unknown> {
  const choose = preparedRouter()
  const scan = new ReadScan()
  const figures = {
    route_ns: nanoseconds(choose),
    read_scan_ns: nanoseconds(() => scan.isRead(QUERY, 0, QUERY.length)),
  }
  console.log(`route to one of three shards  ${figures.route_ns.toFixed(0)} ns`)
  console.log(`is the query a read           ${figures.read_scan_ns.toFixed(0)} ns`)
  return figures
}

function nanoseconds(work: () => unknown): number {
  let kept: unknown = null
  for (let round = 0; round < WARM_UP; round++) kept = work()
  const began = performance.now()
  for (let round = 0; round < ROUNDS; round++) kept = work()
  const took = performance.now() - began
  if (kept === null) throw new Error('nothing was decided')
  return Math.round((took * 1e6) / ROUNDS)
}

function preparedRouter(): () => unknown {
  const policy = {
    ...NO_POLICY,
    routing: { ...NO_POLICY.routing, reads: 'replicas' as const },
    tiers: NO_POLICY.tiers.map((tier) => ({ ...tier, pools: ['all'], consistency: 'session' as const })),
  }
  const now = 100_000
  const records = new Region(new ArrayBuffer(1024 * SHARD_RECORDS), 0, 1024, SHARD_RECORDS)
  for (const id of [1, 2]) {
    records.f64[id * 128 + SHARD_STATE_F64.freshAsOf] = now - 5
    records.f64[id * 128 + SHARD_STATE_F64.freshAt] = now - 5
  }
  const table = new RouteTable({ loadOf: ({ id }) => ({ busy: id, limit: 50, peakMs: () => 1 + id }) })
  table.rebuild(policy, { version: 1, shards: [shard(0, 'primary'), shard(1, 'replica'), shard(2, 'replica')] }, 0)
  const plan = table.of('main')
  if (plan === null) throw new Error('there is no plan')
  const router = new ReadRouter(new Freshness(records), pseudoRandom(7), policy.routing)
  const demand = {
    tier: 1,
    rule: null,
    consistency: 'session' as const,
    causality: { wroteAt: now - 50, sawAt: now - 1, sawOn: 1 },
  }
  const reader = { canReach: () => true }
  return () => router.choose(plan, demand, now, reader)
}

function shard(id: number, role: Shard['role']): Shard {
  return testShardValue({ id, name: `db${id}`, role, maxConnections: 50 })
}
