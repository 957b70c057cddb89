import type { RouterControl } from '../router-control.ts'
import { type Averages, averagesBetween } from './averages.ts'
import { addTotals, NO_TOTALS, snapshotTotals, type Totals, type TotalsSnapshot } from './database-totals.ts'

export const STATS_PERIOD_MS = 60_000

/**
 * Keeps the two latest snapshots of the totals, one period apart, so that averages speak of the last whole period.
 * Until the first period is over they speak of the time since the sampler was made.
 */
export class StatsSampler {
  readonly #control: RouterControl
  readonly #periodMs: number
  #older: TotalsSnapshot
  #newer: TotalsSnapshot | null = null
  #timer: NodeJS.Timeout | null = null

  constructor(control: RouterControl, periodMs: number = STATS_PERIOD_MS) {
    this.#control = control
    this.#periodMs = periodMs
    this.#older = this.snapshot()
  }

  /** Takes a snapshot every period until `stop`; does not keep the process alive. */
  start(): void {
    this.#timer ??= setInterval(() => this.sample(), this.#periodMs).unref()
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#timer = null
  }

  /** Ends a period now. */
  sample(): void {
    this.#older = this.#newer ?? this.#older
    this.#newer = this.snapshot()
  }

  /** The totals at this moment. */
  snapshot(): TotalsSnapshot {
    return snapshotTotals(this.#control.memory, this.#control.nowMonotonic())
  }

  /** Totals and averages over all databases. */
  overall(): { readonly totals: Totals; readonly averages: Averages } {
    const current = this.snapshot()
    const older = overallSnapshot(this.#older)
    const newer = overallSnapshot(this.#newer ?? current)
    return { totals: overallTotals(current), averages: averagesBetween(older, newer, OVERALL) }
  }

  /** The averages of each of the databases in `current`. */
  averages(current: TotalsSnapshot): ReadonlyMap<string, Averages> {
    const newer = this.#newer ?? current
    const names = [...current.databases.keys()]
    return new Map(names.map((name) => [name, averagesBetween(this.#older, newer, name)]))
  }
}

const OVERALL = ''

function overallTotals(snapshot: TotalsSnapshot): Totals {
  return [...snapshot.databases.values()].reduce(addTotals, NO_TOTALS)
}

function overallSnapshot(snapshot: TotalsSnapshot): TotalsSnapshot {
  return { at: snapshot.at, databases: new Map([[OVERALL, overallTotals(snapshot)]]) }
}
