import { createHash } from 'node:crypto'

/**
 * What the tier model sees of a connection, in the order of the vector. A value that is not known is NaN; the model has
 * learned what to make of that. A change of names, order or meaning is a new `FEATURE_SCHEMA_VERSION`, because a model
 * made for other features would be wrong without noticing.
 */
export const FEATURE_SCHEMA_VERSION = 1

/** Positions of the features in a vector. */
export const FEATURE = {
  /** Ids, in the order of what the names' connections were in training, from 1; 0: never seen there. */
  userId: 0,
  databaseId: 1,
  applicationId: 2,
  subnetId: 3,
  /** Of user and application together. */
  pairId: 4,
  /** log10(1 + connections of that pair in training). */
  pairCount: 5,
  tls: 6,
  local: 7,
  superuser: 8,
  replication: 9,
  memberships: 10,
  /** log2 of milliseconds; NaN: none asked for. */
  statementTimeout: 11,
  readOnly: 12,
  startupSettings: 13,
  /** Queries a second with τ = 10 s and 120 s. */
  rateFast: 14,
  rateSlow: 15,
  /** Part of the time in which a query runs. */
  busyFast: 16,
  busySlow: 17,
  /** Part of the time in which a transaction is open and nothing runs in it. */
  idleInTransaction: 18,
  /** Parts of the statements. */
  selects: 19,
  writes: 20,
  copies: 21,
  ddl: 22,
  transactionControl: 23,
  utility: 24,
  /** log2 of milliseconds: mean, standard deviation, 95th percentile, and the mean with τ = 10 s. */
  duration: 25,
  durationSpread: 26,
  durationP95: 27,
  durationFast: 28,
  /** log2(1 + x) per query, means. */
  rows: 29,
  bytesIn: 30,
  bytesOut: 31,
  /** log2 of milliseconds, mean. */
  transactionLength: 32,
  queriesPerTransaction: 33,
  /** Part of the queries that use the extended protocol. */
  extended: 34,
  /** log2(1 + named prepared statements). */
  prepared: 35,
  errors: 36,
  cancels: 37,
  /** log2 of connections of the same identity that are open, this one included. */
  siblings: 38,
  /** log2(1 + milliseconds) between an answer and the next request: mean and standard deviation. */
  thinkTime: 39,
  thinkSpread: 40,
  /** How much evidence there is: log2(1 + queries), log2(1 + seconds). */
  queries: 41,
  age: 42,
  /** Milliseconds for which the present query has been running, as log2(1 + x). */
  running: 43,
  /** Of the server process: part of one CPU, log2 of MB, log2(1 + KB a second). */
  backendCpu: 44,
  backendMemory: 45,
  backendRead: 46,
  backendWrite: 47,
  /** The same for all connections of the identity together, τ = 1 h; NaN before there is anything. */
  identityDuration: 48,
  identityRows: 49,
  identityWrites: 50,
  identityCopies: 51,
  identityBusy: 52,
  /** log2(1 + queries) and log2(1 + seconds) of its connections that have ended. */
  identityQueries: 53,
  identityLength: 54,
  /** log2(1 + connections begun in the last hour). */
  identityConnections: 55,
} as const

export type FeatureName = keyof typeof FEATURE

/** In the order of the vector. */
export const FEATURE_NAMES: readonly FeatureName[] = Object.freeze(Object.keys(FEATURE) as FeatureName[])
export const FEATURE_COUNT: number = FEATURE_NAMES.length

/** Of who the connection is; what training takes away now and then, so that the model copes without. */
export const IDENTITY_FEATURES: readonly number[] = Object.freeze([
  FEATURE.userId,
  FEATURE.databaseId,
  FEATURE.applicationId,
  FEATURE.subnetId,
  FEATURE.pairId,
  FEATURE.pairCount,
])

/** Of the server process; known only where it can be looked at. */
export const BACKEND_FEATURES: readonly number[] = Object.freeze([
  FEATURE.backendCpu,
  FEATURE.backendMemory,
  FEATURE.backendRead,
  FEATURE.backendWrite,
])

/** Of what the identity's other connections did before. */
export const IDENTITY_HISTORY_FEATURES: readonly number[] = Object.freeze([
  FEATURE.identityDuration,
  FEATURE.identityRows,
  FEATURE.identityWrites,
  FEATURE.identityCopies,
  FEATURE.identityBusy,
  FEATURE.identityQueries,
  FEATURE.identityLength,
  FEATURE.identityConnections,
])

/** Of the installation that a connection is part of more than of itself: how large it is, how its clients are set up. */
export const SITE_FEATURES: readonly number[] = Object.freeze([
  FEATURE.siblings,
  FEATURE.startupSettings,
  ...IDENTITY_HISTORY_FEATURES,
])

/** What a model file is compared with: of the version and all names in order. */
export const FEATURE_SCHEMA_HASH: string = createHash('sha256')
  .update(`${FEATURE_SCHEMA_VERSION}\n${FEATURE_NAMES.join('\n')}`)
  .digest('hex')
  .slice(0, 16)
