import { Client } from 'pg'
import type { Bench, BenchOptions } from './bench-environment.ts'
import type { Address } from './peer.ts'
import { startRouter } from './router-peer.ts'
import { percentile, ratio, significant } from './statistics.ts'
import { formatTable } from './text-table.ts'
import { startTurnCounter, type TurnCounter } from './turn-counter.ts'

export interface ParametersOptions extends BenchOptions {
  /** How long each case is measured, in seconds. */
  readonly seconds: number
}

/** The way to the server, in each direction: a round trip more shows in the latency as well. */
const WAY_MS = 2
const WARM_UP = 20

/** Five settings, of which a server reports none or one. */
const settingsOf = (client: number): readonly string[] => [
  `SET work_mem = '${4 + client}MB'`,
  `SET statement_timeout = '${30 + client}s'`,
  `SET lock_timeout = '${10 + client}s'`,
  `SET app.tenant = '${client}'`,
  `SET search_path = 'tenant_${client}', public`,
]

interface Case {
  readonly transactions: number
  readonly roundTrips: number
  readonly p50Ms: number | null
}

/**
 * What it costs when two clients that differ in five settings take turns on one server connection, compared with two that
 * have the same settings. Prints a table and returns what the JSON line holds.
 */
export async function parameters(bench: Bench, options: ParametersOptions): Promise<Record<string, unknown>> {
  const counter = await startTurnCounter(bench.server.address, WAY_MS, bench.cleanup)
  const server = { ...bench.server, address: counter.address }
  const { checkout } = options
  const { directory, cleanup } = bench
  const router = await startRouter({ server, directory, maxClients: 10, checkout, cpuProfileDirectory: null, cleanup })
  const address = router.address('simple')
  const same = await alternate(address, [0, 0], counter, options.seconds)
  const different = await alternate(address, [0, 1], counter, options.seconds)
  await router.stop()
  console.log(
    formatTable(
      ['two clients', 'transactions', 'round trips each', 'p50 ms'],
      [row('with the same five settings', same), row('with five different settings', different)],
      { leftColumns: 1 },
    ),
  )
  return {
    round_trips_same: significant(same.roundTrips),
    round_trips_different: significant(different.roundTrips),
    latency_ratio: significant(ratio(different.p50Ms, same.p50Ms)),
    p50_ms_same: significant(same.p50Ms),
    p50_ms_different: significant(different.p50Ms),
    way_ms: WAY_MS,
  }
}

function row(name: string, { transactions, roundTrips, p50Ms }: Case): string[] {
  return [name, String(transactions), String(significant(roundTrips)), String(significant(p50Ms))]
}

/** One transaction of the first, one of the second, and so on: the server connection used last is given to the next. */
async function alternate(
  address: Address,
  kinds: readonly number[],
  counter: TurnCounter,
  seconds: number,
): Promise<Case> {
  const clients = kinds.map(() => new Client({ ...address }))
  try {
    for (const [at, client] of clients.entries()) {
      await client.connect()
      for (const sql of settingsOf(kinds[at] ?? 0)) await client.query(sql)
    }
    const durations: number[] = []
    const end = performance.now() + seconds * 1000
    for (let turn = 0; performance.now() < end; turn++) {
      if (turn === WARM_UP) counter.take()
      const began = performance.now()
      await clients[turn % clients.length]?.query('SELECT 1')
      if (turn >= WARM_UP) durations.push(performance.now() - began)
    }
    const transactions = durations.length
    const p50Ms = percentile(Float64Array.from(durations), 0.5)
    return { transactions, roundTrips: counter.take() / transactions, p50Ms }
  } finally {
    await Promise.all(clients.map((client) => client.end()))
  }
}
