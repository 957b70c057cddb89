import type { Region } from './region.ts'

/** i32 indexes within a pool record: one per (shard, user, database) that ever had a server connection. */
export const POOL = {
  /** 0 = free, 1 = in use. */
  state: 0,
  plane: 1,
  /** Shard id. */
  shard: 2,
  size: 3,
  /** 0 = transaction, 1 = session. */
  mode: 4,
  /** 1 while PAUSEd. */
  paused: 5,
} as const

/** f64 indexes within a pool record: running totals since start, times in milliseconds. */
export const POOL_F64 = {
  transactions: 8,
  queries: 9,
  /** Bytes from clients and to clients. */
  bytesReceived: 10,
  bytesSent: 11,
  transactionMs: 12,
  queryMs: 13,
  waitMs: 14,
  waits: 15,
  errors: 16,
  serverConnects: 17,
  serverConnectFailures: 18,
  serverLoginFailures: 19,
  waitTimeouts: 20,
  parseCount: 21,
  bindCount: 22,
  serverAssignments: 23,
} as const

export const POOL_TEXT = {
  /** The name clients asked for. */
  database: { offset: 256, capacity: 64 },
  user: { offset: 320, capacity: 64 },
  shard: { offset: 384, capacity: 64 },
  serverDatabase: { offset: 448, capacity: 64 },
  serverUser: { offset: 512, capacity: 64 },
} as const

/** Histogram bucket counts, each a run of HISTOGRAM_BUCKETS f64 starting at this f64 index. */
export const HISTOGRAM_BUCKETS = 24
export const POOL_HISTOGRAM = { wait: 80, transaction: 80 + 24, query: 80 + 48 } as const

/**
 * Bucket `b` counts durations below 2^(b+6) microseconds: 64 µs, 128 µs … 4.5 min; the last one has all that
 * is longer. A power of two costs one instruction to find; Prometheus does not mind odd bounds.
 */
export function histogramBucket(milliseconds: number): number {
  // Above 2^32 microseconds, which is 71 minutes, a shift would forget the upper bits.
  const bucket = 32 - Math.clz32(Math.min(milliseconds * 1000, 0xffff_ffff) >>> 6)
  return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1
}

/** Upper bound of a bucket in seconds; the last one is infinite. */
export function histogramBoundSeconds(bucket: number): number {
  return bucket === HISTOGRAM_BUCKETS - 1 ? Number.POSITIVE_INFINITY : (64 * 2 ** bucket) / 1e6
}

/** Which pool a record is of. */
export interface PoolIdentity {
  readonly record: number
  readonly plane: number
  readonly shardId: number
  readonly size: number
  readonly mode: 'transaction' | 'session'
  readonly paused: boolean
  readonly database: string
  readonly user: string
  readonly shard: string
  readonly serverDatabase: string
  readonly serverUser: string
}

/** A pool's record as a value; histograms count by bucket. */
export interface PoolView extends PoolIdentity {
  readonly totals: Readonly<Record<keyof typeof POOL_F64, number>>
  readonly histograms: Readonly<Record<keyof typeof POOL_HISTOGRAM, readonly number[]>>
}

/** The record as a value, or null when it is free. */
export function readPool(region: Region, record: number): PoolView | null {
  const identity = readPoolIdentity(region, record)
  if (identity === null) return null
  const f = record * (region.recordBytes >> 3)
  const buckets = (start: number): readonly number[] =>
    Array.from(region.f64.subarray(f + start, f + start + HISTOGRAM_BUCKETS))
  const totals = {} as Record<keyof typeof POOL_F64, number>
  for (const [name, field] of Object.entries(POOL_F64))
    totals[name as keyof typeof POOL_F64] = region.f64[f + field] ?? 0
  return {
    ...identity,
    totals,
    histograms: {
      wait: buckets(POOL_HISTOGRAM.wait),
      transaction: buckets(POOL_HISTOGRAM.transaction),
      query: buckets(POOL_HISTOGRAM.query),
    },
  }
}

/** Without what is counted there, of which there is a lot; null when it is free. */
export function readPoolIdentity(region: Region, record: number): PoolIdentity | null {
  const i = record * (region.recordBytes >> 2)
  if (region.i32[i + POOL.state] !== 1) return null
  const number = (field: number): number => region.i32[i + field] ?? 0
  const text = (field: { offset: number }): string => region.readText(record, field.offset)
  return {
    record,
    plane: number(POOL.plane),
    shardId: number(POOL.shard),
    size: number(POOL.size),
    mode: number(POOL.mode) === 1 ? 'session' : 'transaction',
    paused: number(POOL.paused) === 1,
    database: text(POOL_TEXT.database),
    user: text(POOL_TEXT.user),
    shard: text(POOL_TEXT.shard),
    serverDatabase: text(POOL_TEXT.serverDatabase),
    serverUser: text(POOL_TEXT.serverUser),
  }
}
