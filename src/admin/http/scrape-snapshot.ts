import type { PlaneView } from '../../memory/plane-records.ts'
import { HISTOGRAM_BUCKETS, type POOL_HISTOGRAM } from '../../memory/pool-records.ts'
import { clientsOf, planesOf, poolsOf } from '../observe.ts'
import { type PoolCensus, takePoolCensus } from '../pool-census.ts'
import type { RouterControl } from '../router-control.ts'
import { addTotals, type Totals } from '../stats/database-totals.ts'

export type HistogramName = keyof typeof POOL_HISTOGRAM

/** A type, not an interface: prom-client wants an index signature. */
export type PoolLabels = {
  readonly database: string
  readonly user: string
  readonly shard: string
}

/** The running totals of one pool over all planes. */
export interface PoolTotals {
  readonly labels: PoolLabels
  totals: Totals
  /** Counts by bucket, not cumulative. */
  readonly histograms: Record<HistogramName, number[]>
}

/** Everything one scrape needs, read from shared memory once. */
export interface ScrapeSnapshot {
  readonly pools: readonly PoolTotals[]
  readonly census: readonly PoolCensus[]
  readonly planes: readonly PlaneView[]
  /** Clients that have not proved yet who they are. */
  readonly loggingIn: number
  readonly usedClientSlots: number
}

export function takeScrapeSnapshot(control: RouterControl): ScrapeSnapshot {
  const clients = [...clientsOf(control.memory)]
  return {
    pools: sumPools(control),
    census: takePoolCensus(control),
    planes: [...planesOf(control.memory)],
    loggingIn: clients.filter(({ state }) => state === 'login').length,
    usedClientSlots: clients.length,
  }
}

/** Two series of the same labels would make Prometheus refuse the whole page: planes' records are added up. */
function sumPools(control: RouterControl): readonly PoolTotals[] {
  const pools = new Map<string, PoolTotals>()
  for (const { database, user, shard, totals, histograms } of poolsOf(control.memory)) {
    const key = JSON.stringify([database, user, shard])
    const sum = pools.get(key)
    if (sum === undefined) {
      pools.set(key, {
        labels: { database, user, shard },
        totals,
        histograms: {
          wait: [...histograms.wait],
          transaction: [...histograms.transaction],
          query: [...histograms.query],
        },
      })
      continue
    }
    sum.totals = addTotals(sum.totals, totals)
    for (const name of Object.keys(sum.histograms) as HistogramName[]) {
      for (let bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
        sum.histograms[name][bucket] = (sum.histograms[name][bucket] ?? 0) + (histograms[name][bucket] ?? 0)
      }
    }
  }
  return [...pools.values()]
}
