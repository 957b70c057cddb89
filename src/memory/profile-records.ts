/**
 * A client's connection profile in shared memory, one record of `PROFILE_RECORD_BYTES` per client slot: what the
 * analyzer has seen of it, and what it makes of that. Written by the plane that serves the client, read by control.
 */

/** i32 indexes within a record. */
export const PROFILE = {
  /** Of whom: the slot's generation; 0: nobody. */
  generation: 0,
  /** Record of its identity + 1; 0: none. */
  identity: 1,
  queries: 2,
  /** Its number when it was evaluated last. */
  evaluatedAtQuery: 3,
  evaluations: 4,
  /** Tier codes + 1, 0: none: what the decision is, what the model says after hysteresis, the rule's, the hint's. */
  decided: 5,
  modelTier: 6,
  ruleTier: 7,
  hintTier: 8,
  /** SOURCE of the decision. */
  source: 9,
  /** Tier code + 1 that the model tends to, and for how many evaluations in a row. */
  candidate: 10,
  candidateCount: 11,
  flags: 12,
  /** As `hintTier`: of the startup packet; of a comment, which counts for one transaction. */
  startupHint: 13,
  commentHint: 14,
  /** Transaction status of the last answer. */
  status: 32,
  /** Number of the rule that matched + 1. */
  rule: 33,
  /** First 4 bytes of the model's hash that spoke last. */
  model: 35,
  startupSettings: 36,
  /** How often the tier changed. */
  changes: 37,
  /** What it would be if the model counted: a tier code + 1. */
  proposed: 38,
  /** What it was before the last change: a tier code + 1. */
  changedFrom: 39,
} as const

/** f64 indexes within a record. Times are monotonic milliseconds, 0 = none. */
export const PROFILE_F64 = {
  connectedAt: 8,
  updatedAt: 9,
  evaluatedAt: 10,
  tierSince: 11,
  answeredAt: 12,
  /** Of the client's bytes, what was there at the last answer. */
  bytesRead: 13,
  bytesWritten: 14,
  runawayUntil: 15,
  /** When the decision changed last. */
  decidedAt: 54,
  /** Of the last sample of a server process that counted: its `SERVER_F64.usageAt`. */
  usageAt: 55,
} as const

/** f32 indexes within a record: sums that decay with τ = 120 s, each one number but for the histogram. */
export const PROFILE_SUM = {
  count: 40,
  busyMs: 41,
  idleInTransactionMs: 42,
  logDuration: 43,
  logDurationSquares: 44,
  selects: 45,
  writes: 46,
  copies: 47,
  ddl: 48,
  transactionControl: 49,
  utility: 50,
  statements: 51,
  logRows: 52,
  logBytesIn: 53,
  logBytesOut: 54,
  extended: 55,
  errors: 56,
  transactions: 57,
  logTransaction: 58,
  thinks: 59,
  logThink: 60,
  logThinkSquares: 61,
  cancels: 62,
  histogram: 64,
} as const
/** Where they begin and end. */
export const PROFILE_SUMS = { first: 40, histogramBuckets: 20, end: 84 } as const

/** f32 indexes: sums that decay with τ = 10 s. */
export const PROFILE_FAST = { count: 84, busyMs: 85, logDuration: 86, first: 84, end: 87 } as const

/** Other f32 indexes. */
export const PROFILE_F32 = {
  /** Rows, and milliseconds in our queue, of the request at hand. */
  rows: 87,
  waitedMs: 88,
  /** Four each: what the model said last; the moving average of its logarithm. */
  probabilities: 89,
  logProbabilities: 93,
  /** As the features of the same name. NaN: not known. */
  statementTimeout: 97,
  backendCpu: 100,
  backendMemory: 101,
  backendRead: 102,
  backendWrite: 103,
  /** Number of the last query that was a runaway. */
  runawayQuery: 104,
} as const

export const PROFILE_FLAG = {
  tls: 1,
  local: 2,
  replication: 4,
  readOnly: 8,
  /** Its user and application are known from training. */
  identitySeen: 16,
  /** The model did not speak: unseen, and not enough evidence, or unlike all that it knows. */
  abstained: 32,
  /** Something it did was beyond the limits. */
  runaway: 64,
  /** Its hint may raise it. */
  mayRaise: 128,
  /** Unseen, and it behaves like nothing that the model has learned from. */
  novel: 256,
} as const

/** Who decided a tier. */
export const SOURCES = ['default', 'identity', 'model', 'hint', 'rule', 'runaway'] as const
export type TierSource = (typeof SOURCES)[number]
