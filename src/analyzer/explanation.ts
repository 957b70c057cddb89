import { TIERS } from '../shard/tier.ts'
import { FEATURE, FEATURE_COUNT, FEATURE_NAMES, type FeatureName } from './feature-schema.ts'
import type { TierModel } from './tier-model.ts'

/** Why the model prefers one tier to another, the strongest first. */
export interface Reason {
  readonly feature: FeatureName
  readonly value: number
  /** What it adds to the difference of the two scores. */
  readonly weight: number
  readonly text: string
}

/** The features that speak most for `tier` and against `other`: codes. At most `most`, all with a weight above 0. */
export function reasonsFor(
  model: TierModel,
  vector: Float32Array,
  tier: number,
  other: number,
  most = 3,
): readonly Reason[] {
  const sums = model.trees.contributions(vector, FEATURE_COUNT)
  return FEATURE_NAMES.map((feature, index) => ({
    feature,
    value: vector[index] as number,
    weight: (sums[index * TIERS.length + tier] as number) - (sums[index * TIERS.length + other] as number),
  }))
    .filter(({ weight }) => weight > 0)
    .sort((a, b) => b.weight - a.weight)
    .slice(0, most)
    .map((reason) => ({ ...reason, text: phrase(reason.feature, reason.value) }))
}

/** The tier that is second most likely, or the most likely one when that is not `tier`. */
export function rivalOf(probabilities: ArrayLike<number>, tier: number): number {
  let rival = tier === 0 ? 1 : 0
  for (let k = 0; k < probabilities.length; k++) {
    if (k !== tier && (probabilities[k] as number) > (probabilities[rival] as number)) rival = k
  }
  return rival
}

const percent = (part: number): string => `${Math.round(100 * part)} %`
const round = (value: number): string =>
  Math.abs(value) >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(2)))
const milliseconds = (log: number): string => {
  const ms = 2 ** log
  return ms >= 1000 ? `${round(ms / 1000)} s` : `${round(ms)} ms`
}
const count = (log: number): string => round(2 ** log - 1)
const known = (id: number, what: string): string =>
  id === 0 ? `its ${what} is not known from training` : `its ${what} is known from training`

const PHRASES: Readonly<Record<FeatureName, (value: number) => string>> = {
  userId: (id) => known(id, 'user'),
  databaseId: (id) => known(id, 'database'),
  applicationId: (id) => known(id, 'application name'),
  subnetId: (id) => known(id, 'subnet'),
  pairId: (id) => known(id, 'user with this application name'),
  pairCount: (log) => `training has seen ${round(10 ** log - 1)} connections of this user and application`,
  tls: (on) => (on ? 'it uses TLS' : 'it does not use TLS'),
  local: (on) => (on ? 'it comes from this machine' : 'it comes over the network'),
  superuser: (on) => (on ? 'its user is a superuser' : 'its user is no superuser'),
  replication: (on) => (on ? 'it replicates' : 'it does not replicate'),
  memberships: (n) => `its user is a member of ${round(n)} roles`,
  statementTimeout: (log) => `it asked for a statement_timeout of ${milliseconds(log)}`,
  readOnly: (on) => (on ? 'it asked for read-only transactions' : 'it did not ask for read-only transactions'),
  startupSettings: (n) => `it sent ${round(n)} settings when it connected`,
  rateFast: (rate) => `it runs ${round(rate)} queries a second at present`,
  rateSlow: (rate) => `it runs ${round(rate)} queries a second`,
  busyFast: (part) => `a query runs ${percent(part)} of the time at present`,
  busySlow: (part) => `a query runs ${percent(part)} of the time`,
  idleInTransaction: (part) => `it is idle in a transaction ${percent(part)} of the time`,
  selects: (part) => `${percent(part)} of its statements read`,
  writes: (part) => `${percent(part)} of its statements write`,
  copies: (part) => `${percent(part)} of its statements are COPY`,
  ddl: (part) => `${percent(part)} of its statements define or maintain objects`,
  transactionControl: (part) => `${percent(part)} of its statements begin or end transactions`,
  utility: (part) => `${percent(part)} of its statements are SET, SHOW and the like`,
  duration: (log) => `a typical query takes ${milliseconds(log)}`,
  durationSpread: (spread) => `its queries' times differ by a factor of ${round(2 ** spread)}`,
  durationP95: (log) => `one query in twenty takes ${milliseconds(log)} or more`,
  durationFast: (log) => `a query takes ${milliseconds(log)} at present`,
  rows: (log) => `a typical query returns or changes ${count(log)} rows`,
  bytesIn: (log) => `it sends ${count(log)} bytes per query`,
  bytesOut: (log) => `it gets ${count(log)} bytes per query`,
  transactionLength: (log) => `a typical transaction takes ${milliseconds(log)}`,
  queriesPerTransaction: (n) => `it sends ${round(n)} queries in a transaction`,
  extended: (part) => `${percent(part)} of its statements use the extended protocol`,
  prepared: (log) => `it has ${count(log)} prepared statements`,
  errors: (part) => `${percent(part)} of its queries fail`,
  cancels: (part) => `${percent(part)} of its queries are cancelled`,
  siblings: (log) => `${round(2 ** log)} connections like it are open`,
  thinkTime: (log) => `it waits ${milliseconds(Math.log2(Math.max(2 ** log - 1, 0.001)))} before its next query`,
  thinkSpread: (spread) => `its pauses differ by a factor of ${round(2 ** spread)}`,
  queries: (log) => `it has sent ${count(log)} queries`,
  age: (log) => `it is ${count(log)} s old`,
  running: (log) => (log === 0 ? 'no query is running' : `its present query has been running for ${milliseconds(log)}`),
  backendCpu: (part) => `its server process uses ${percent(part)} of a CPU`,
  backendMemory: (log) => `its server process uses ${round(2 ** log)} MB`,
  backendRead: (log) => `its server process reads ${count(log)} KB a second`,
  backendWrite: (log) => `its server process writes ${count(log)} KB a second`,
  identityDuration: (log) => `queries of connections like it typically take ${milliseconds(log)}`,
  identityRows: (log) => `queries of connections like it return or change ${count(log)} rows`,
  identityWrites: (part) => `${percent(part)} of the statements of connections like it write`,
  identityCopies: (part) => `${percent(part)} of the statements of connections like it are COPY`,
  identityBusy: (part) => `connections like it run a query ${percent(part)} of the time`,
  identityQueries: (log) => `connections like it send ${count(log)} queries`,
  identityLength: (log) => `connections like it live ${count(log)} s`,
  identityConnections: (log) => `${count(log)} connections like it began in the last hour`,
}

/** A feature's value as half a sentence. */
export function phrase(feature: FeatureName, value: number): string {
  if (!Number.isNaN(value)) return PHRASES[feature](value)
  return FEATURE[feature] >= FEATURE.identityDuration
    ? `nothing is known of connections like it (${feature})`
    : `there is no figure for ${feature} yet`
}
