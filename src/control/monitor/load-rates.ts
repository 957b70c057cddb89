import type { LoadSample } from './load-sample.ts'

/** What a shard does, per second, between two samples. */
export interface LoadRates {
  readonly transactions: number
  readonly rollbacks: number
  readonly tuplesReturned: number
  readonly tuplesWritten: number
  readonly blocksRead: number
  readonly tempBytes: number
  /** Sessions at work on average; sessions report when they come to rest, so it lags behind long statements. */
  readonly meanActive: number
}

/** The rates from `before` to `after`; null when they cannot be told: no time has passed, or totals were reset meanwhile. */
export function loadRates(before: LoadSample, after: LoadSample): LoadRates | null {
  const seconds = (after.askedAt - before.askedAt) / 1000
  if (seconds <= 0) return null
  const rates = {
    transactions: after.totals.commits - before.totals.commits,
    rollbacks: after.totals.rollbacks - before.totals.rollbacks,
    tuplesReturned: after.totals.tuplesReturned - before.totals.tuplesReturned,
    tuplesWritten: after.totals.tuplesWritten - before.totals.tuplesWritten,
    blocksRead: after.totals.blocksRead - before.totals.blocksRead,
    tempBytes: after.totals.tempBytes - before.totals.tempBytes,
    meanActive: (after.totals.activeMs - before.totals.activeMs) / 1000,
  }
  if (Object.values(rates).some((change) => change < 0)) return null
  for (const name of Object.keys(rates) as (keyof typeof rates)[]) rates[name] /= seconds
  return rates
}
