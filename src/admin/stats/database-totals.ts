import { POOL_F64 } from '../../memory/pool-records.ts'
import type { SharedState } from '../../memory/shared-state.ts'
import { poolsOf } from '../observe.ts'

/** Running totals, as pool records keep them; times in milliseconds. */
export type Totals = Readonly<Record<keyof typeof POOL_F64, number>>

export const NO_TOTALS = Object.fromEntries(Object.keys(POOL_F64).map((name) => [name, 0])) as Totals

/** The totals of each database at one moment (monotonic milliseconds). */
export interface TotalsSnapshot {
  readonly at: number
  readonly databases: ReadonlyMap<string, Totals>
}

/** Sums the pool records of each database. */
export function snapshotTotals(memory: SharedState, at: number): TotalsSnapshot {
  const databases = new Map<string, Totals>()
  for (const { database, totals } of poolsOf(memory)) {
    const sum = databases.get(database)
    databases.set(database, sum === undefined ? totals : addTotals(sum, totals))
  }
  return { at, databases }
}

export function addTotals(a: Totals, b: Totals): Totals {
  const sum = { ...a } as Record<keyof Totals, number>
  for (const name of Object.keys(b) as (keyof Totals)[]) sum[name] = a[name] + b[name]
  return sum
}
