import { FEATURE } from '../../analyzer/feature-schema.ts'
import type { Tier } from '../../shard/tier.ts'
import type { HistoryRow } from '../learning/history-row.ts'

/** A connection of the history, as policy looks at it. */
export interface RecordedConnection {
  readonly user: string
  readonly database: string
  readonly application: string
}

/** One of its transactions, as far as the history tells. */
export interface RecordedUse {
  /** Milliseconds since the record's beginning. */
  readonly at: number
  /** Index of the connection. */
  readonly connection: number
  readonly serviceMs: number
  readonly isRead: boolean
  /** What the connection was at that time by the model or what it had been before; null: nobody knew. */
  readonly tier: Tier | null
}

/** What clients wanted, in the order of time. */
export interface Recording {
  /** Milliseconds since 1970. */
  readonly from: number
  readonly to: number
  readonly connections: readonly RecordedConnection[]
  readonly uses: readonly RecordedUse[]
  /** There was more than can be simulated at once; `to` is where it was cut off. */
  readonly isCut: boolean
}

/** What of the history is gone through again; `mostUses`: transactions at most. */
export interface RecordingOptions {
  /** At least 0, below 1. */
  readonly random: () => number
  /** How many times the load that was recorded. */
  readonly scale: number
  /** Milliseconds since 1970: only what lies between. */
  readonly from: number
  readonly to: number
  readonly mostUses: number
}

/** Who sends more queries in a transaction writes in some of them, as far as the history tells. */
const SINGLE = 1.5
/** Longer ones say more of a forgotten COMMIT than of work. */
const LONGEST_MS = 3_600_000

/**
 * What clients wanted, from rows of the history in any order. Between two rows of a connection it is known how many queries
 * it sent; when exactly is drawn by chance, as are durations, from their mean and spread.
 */
export function recordingOf(rows: readonly HistoryRow[], options: RecordingOptions): Recording {
  const connections: RecordedConnection[] = []
  const uses: RecordedUse[] = []
  const { random, scale } = options
  let [from, to] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (const all of Map.groupBy(rows, ({ connection }) => connection).values()) {
    const ordered = all.toSorted((a, b) => a.time - b.time)
    const copies = Math.floor(scale) + (random() < scale % 1 ? 1 : 0)
    for (let copy = 0; copy < copies; copy++) {
      const [first] = ordered as [HistoryRow]
      const connection = connections.length
      connections.push({ user: first.user, database: first.database, application: first.application })
      for (const use of usesOf(ordered, connection, options)) {
        uses.push(use)
        from = Math.min(from, use.at)
        to = Math.max(to, use.at)
      }
    }
  }
  if (uses.length === 0) return { from: 0, to: 0, connections: [], uses: [], isCut: false }
  uses.sort((a, b) => a.at - b.at)
  const isCut = uses.length > options.mostUses
  const kept = isCut ? uses.slice(0, options.mostUses) : uses
  return {
    from,
    to: kept.at(-1)?.at ?? to,
    connections,
    uses: kept.map((use) => ({ ...use, at: use.at - from })),
    isCut,
  }
}

function* usesOf(
  rows: readonly HistoryRow[],
  connection: number,
  { random, from, to }: RecordingOptions,
): Generator<RecordedUse> {
  let [since, queries] = [rows[0]?.connectedAt ?? 0, 0]
  for (const row of rows) {
    const { features } = row
    const perTransaction = Math.max(1, known(features[FEATURE.queriesPerTransaction], 1))
    const wanted = Math.max(0, row.queries - queries) / perTransaction
    const count = Math.floor(wanted) + (random() < wanted % 1 ? 1 : 0)
    for (let n = 0; n < count; n++) {
      const at = since + random() * Math.max(0, row.time - since)
      const use = { at, connection, serviceMs: serviceMs(features, random), isRead: isRead(features, random) }
      if (at >= from && at <= to) yield { ...use, tier: row.source === 'rule' ? row.proposed : row.tier }
    }
    since = row.time
    queries = row.queries
  }
}

/** A log-normal time: the history has the mean and the spread of its logarithm. */
function serviceMs(features: Float32Array, random: () => number): number {
  const transaction = known(features[FEATURE.transactionLength], Number.NaN)
  const query = known(features[FEATURE.duration], 0)
  const mean = Number.isNaN(transaction) ? query : transaction
  const spread = known(features[FEATURE.durationSpread], 0)
  const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
  return Math.min(LONGEST_MS, 2 ** (mean + spread * normal))
}

function isRead(features: Float32Array, random: () => number): boolean {
  if (known(features[FEATURE.queriesPerTransaction], 1) >= SINGLE) return features[FEATURE.readOnly] === 1
  return random() < known(features[FEATURE.selects], 0)
}

function known(value: number | undefined, otherwise: number): number {
  return value === undefined || Number.isNaN(value) ? otherwise : value
}
