import { FEATURE } from '../../analyzer/feature-schema.ts'
import { globPattern } from '../../analyzer/tier-rules.ts'
import { TIERS, type Tier } from '../../shard/tier.ts'
import type { HistoryRow } from './history-row.ts'

/** What a connection is said to be, by whom, and how much that counts. */
export interface Label {
  readonly connection: string
  readonly tier: Tier
  readonly source: 'truth' | 'correction' | 'rule' | 'outcome'
  readonly weight: number
  /** Only for rows with at most so many queries: a label that was read off behaviour has to be of later behaviour. */
  readonly mostQueries: number | null
  /** Of a laboratory: the family of the client, and whether it lies. */
  readonly family: string | null
  readonly kind: 'honest' | 'shared' | 'forged' | null
}

/** What a person says of connections by their names: `*` stands for any characters. */
export interface Correction {
  readonly user: string
  readonly database: string
  readonly application: string
  readonly tier: Tier
}

/** What a laboratory knows of a connection: see `bench/lab`. */
export interface LabTruth {
  readonly family: string
  readonly tier: Tier
  readonly kind: 'honest' | 'shared' | 'forged'
  readonly port: number
  readonly connectedAt: number
}

/** Who may say what a connection is, the first of them that does. */
export interface LabelSources {
  readonly truths: readonly LabTruth[]
  readonly corrections: readonly Correction[]
  /** Whether behaviour may speak where nobody else does. */
  readonly outcomes: boolean
}

const WEIGHT = { truth: 1, correction: 10, rule: 1, outcome: 0.5 } as const
/** A client's own clock reading of when it connected, and ours, differ by less. */
const SAME_CONNECTION_MS = 3_000
/** What is judged by its end may teach only what had seen a quarter of it at most. */
const OUTCOME_SHARE = 4
const LEAST_OUTCOME_QUERIES = 16

/** One label for each connection of which somebody says something: truth, then corrections, rules, and outcomes. */
export function labelConnections(rows: readonly HistoryRow[], sources: LabelSources): readonly Label[] {
  const byPort = Map.groupBy(sources.truths, ({ port }) => port)
  const corrections = sources.corrections.map(compile)
  const labels: Label[] = []
  for (const [connection, own] of Map.groupBy(rows, (row) => row.connection)) {
    const last = own.reduce((a, b) => (b.time >= a.time ? b : a))
    const truth = byPort
      .get(last.port)
      ?.find(({ connectedAt }) => Math.abs(connectedAt - last.connectedAt) < SAME_CONNECTION_MS)
    const label =
      truth === undefined
        ? (correct(corrections, last) ?? ruled(own) ?? (sources.outcomes ? outcomeOf(last) : null))
        : null
    if (truth !== undefined) {
      const { tier, family, kind } = truth
      labels.push({ connection, tier, source: 'truth', weight: WEIGHT.truth, mostQueries: null, family, kind })
    } else if (label !== null) labels.push({ connection, family: null, kind: null, ...label })
  }
  return labels
}

type Vote = Pick<Label, 'tier' | 'source' | 'weight' | 'mostQueries'>

function compile({ user, database, application, tier }: Correction) {
  return { user: globPattern(user), database: globPattern(database), application: globPattern(application), tier }
}

function correct(corrections: readonly ReturnType<typeof compile>[], row: HistoryRow): Vote | null {
  const found = corrections.find(
    ({ user, database, application }) =>
      user.test(row.user) && database.test(row.database) && application.test(row.application),
  )
  return found === undefined
    ? null
    : { tier: found.tier, source: 'correction', weight: WEIGHT.correction, mostQueries: null }
}

function ruled(rows: readonly HistoryRow[]): Vote | null {
  const tier = rows.find(({ rule }) => rule !== null)?.rule ?? null
  return tier === null ? null : { tier, source: 'rule', weight: WEIGHT.rule, mostQueries: null }
}

/**
 * What the end of a connection says of whether somebody waited for it. Only clear cases: back to back and much at once is
 * background, pauses as people make them are medium. How important something is cannot be seen, so nothing is high.
 */
export function outcomeOf(last: HistoryRow): Vote | null {
  if (last.kind !== 'end' || last.queries < LEAST_OUTCOME_QUERIES) return null
  const of = (name: keyof typeof FEATURE): number => last.features[FEATURE[name]] as number
  const mostQueries = Math.floor(last.queries / OUTCOME_SHARE)
  const isBusy = of('busySlow') > 0.6 && of('thinkTime') < 3
  const isBulk = of('rows') > 9 || of('copies') > 0.2
  if (isBusy && isBulk) return { tier: 'background', source: 'outcome', weight: WEIGHT.outcome, mostQueries }
  const isHuman = of('busySlow') < 0.1 && of('thinkTime') > 9 && of('rows') < 7
  return isHuman ? { tier: 'medium', source: 'outcome', weight: WEIGHT.outcome, mostQueries } : null
}

/** A label file: one JSON object a line. */
export function parseLabels(text: string): readonly Label[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Label)
    .filter(({ tier }) => TIERS.includes(tier))
}
