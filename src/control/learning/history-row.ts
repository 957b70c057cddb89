import { FEATURE_COUNT, FEATURE_NAMES } from '../../analyzer/feature-schema.ts'
import { SNAPSHOT, SNAPSHOT_F64, SNAPSHOT_FEATURES, SNAPSHOT_KINDS, SNAPSHOT_TEXT } from '../../memory/history-ring.ts'
import { SOURCES, type TierSource } from '../../memory/profile-records.ts'
import type { Region } from '../../memory/region.ts'
import { type Tier, tierOf } from '../../shard/tier.ts'

/** What the history knows of a connection at one moment: numbers and names, no SQL. */
export interface HistoryRow {
  /** Milliseconds since 1970. */
  readonly time: number
  readonly connectedAt: number
  /** The same for all rows of one connection, and for no other. */
  readonly connection: string
  readonly kind: (typeof SNAPSHOT_KINDS)[number]
  readonly queries: number
  readonly user: string
  readonly database: string
  /** Normalised. */
  readonly application: string
  readonly subnet: string
  readonly port: number
  readonly tier: Tier | null
  readonly proposed: Tier | null
  readonly rule: Tier | null
  readonly source: TierSource
  /** In the order of `FEATURE_NAMES`; those of the identity are ids of the model that was there, and of no use later. */
  readonly features: Float32Array
}

/** Reads a record of a history ring. `wallOffset`: what makes milliseconds since 1970 of monotonic ones. */
export function rowOf(region: Region, record: number, wallOffset: number, router: string): HistoryRow {
  const i = record * (region.recordBytes >> 2)
  const of = (field: number): number => region.i32[i + field] as number
  const time = (field: number): number => Math.round((region.f64[(i >> 1) + field] as number) + wallOffset)
  const text = (field: keyof typeof SNAPSHOT_TEXT): string => region.readText(record, SNAPSHOT_TEXT[field].offset)
  const tier = (field: number): Tier | null => (of(field) === 0 ? null : tierOf(of(field) - 1))
  return {
    time: time(SNAPSHOT_F64.time),
    connectedAt: time(SNAPSHOT_F64.connectedAt),
    connection: `${router}-${of(SNAPSHOT.slot)}-${of(SNAPSHOT.generation) >>> 0}`,
    kind: SNAPSHOT_KINDS[of(SNAPSHOT.kind)] ?? 'running',
    queries: of(SNAPSHOT.queries),
    user: text('user'),
    database: text('database'),
    application: text('application'),
    subnet: text('subnet'),
    port: of(SNAPSHOT.remotePort),
    tier: tier(SNAPSHOT.decided),
    proposed: tier(SNAPSHOT.proposed),
    rule: tier(SNAPSHOT.ruleTier),
    source: SOURCES[of(SNAPSHOT.source)] ?? 'default',
    features: region.f32.slice(i + SNAPSHOT_FEATURES, i + SNAPSHOT_FEATURES + FEATURE_COUNT),
  }
}

/** The columns of a history file, and how each is made of a row; features come behind them under their names. */
export const ROW_COLUMNS = [
  ['time', 'DOUBLE'],
  ['connectedAt', 'DOUBLE'],
  ['connection', 'STRING'],
  ['kind', 'STRING'],
  ['queries', 'INT32'],
  ['user', 'STRING'],
  ['database', 'STRING'],
  ['application', 'STRING'],
  ['subnet', 'STRING'],
  ['port', 'INT32'],
  ['tier', 'STRING'],
  ['proposed', 'STRING'],
  ['rule', 'STRING'],
  ['source', 'STRING'],
] as const

/** One line of a segment: short, and readable by people. */
export function rowToLine(row: HistoryRow): string {
  const features = Array.from(row.features, (value) => (Number.isNaN(value) ? null : Number(value.toPrecision(6))))
  return JSON.stringify([...ROW_COLUMNS.map(([name]) => row[name]), features])
}

/** Null for a line that was cut off. */
export function rowFromLine(line: string): HistoryRow | null {
  let values: unknown
  try {
    values = JSON.parse(line)
  } catch {
    return null
  }
  if (!Array.isArray(values) || values.length !== ROW_COLUMNS.length + 1) return null
  const features = values.at(-1) as (number | null)[]
  if (!Array.isArray(features) || features.length !== FEATURE_COUNT) return null
  return rowFromValues(
    Object.fromEntries(ROW_COLUMNS.map(([name], index) => [name, values[index]])),
    features.map((value) => value ?? Number.NaN),
  )
}

/** A row of a table whose columns have the names of `ROW_COLUMNS`. */
export function rowFromValues(values: Readonly<Record<string, unknown>>, features: ArrayLike<number>): HistoryRow {
  const known = Object.fromEntries(ROW_COLUMNS.map(([name]) => [name, values[name] ?? null]))
  return { ...(known as unknown as HistoryRow), features: Float32Array.from(features) }
}

/** Names of the columns that hold features. */
export const FEATURE_COLUMNS: readonly string[] = FEATURE_NAMES.map((name) => `f_${name}`)
