import { TIERS } from '../shard/tier.ts'
import type { Region } from './region.ts'

/**
 * What is known of each shard from moment to moment: `SHARD_RECORDS` records by shard id that control writes, and as many
 * for each plane, which writes them. The numbers of four tiers lie side by side, the most important tier's first.
 */

/** i32 indexes within a record that a plane writes. */
export const SHARD_LOAD = {
  /** Slots that each tier has at the moment, and transactions of it that wait. */
  held: 0,
  waiting: 4,
  /** Most that each tier may have now. */
  allowed: 8,
  /** Slots altogether. */
  limit: 12,
} as const

/** f64 indexes within a record that a plane writes: running totals. */
export const SHARD_LOAD_F64 = {
  admitted: 8,
  waits: 12,
  waitMs: 16,
  refused: 20,
  timedOut: 24,
  latencySumMs: 28,
  latencyCount: 32,
  /** Smoothed time of a query, with a memory for bad ones. */
  peakLatencyMs: 36,
  /** Reads that ran here although it is no primary, and those of them that had to run again on the primary. */
  replicaReads: 37,
  retriedReads: 38,
  /** When a transaction was over last that may have written. */
  wroteAt: 39,
} as const

/**
 * How long transactions have waited, those that waited at all: so many counts for each tier from this f64 index on, behind
 * one another. Count `b` is of waits below 2^(b−1) milliseconds, the last one of all that are longer.
 */
export const SHARD_WAITS = { first: 48, buckets: 16 } as const

/** The count that a wait belongs to. */
export function waitBucket(milliseconds: number): number {
  const bucket = 32 - Math.clz32(Math.min(milliseconds * 2, 0x7fff_ffff))
  return bucket < SHARD_WAITS.buckets ? bucket : SHARD_WAITS.buckets - 1
}

/** f64 indexes within a record that control writes. Times are monotonic milliseconds, 0 = never. */
export const SHARD_STATE_F64 = {
  /** Everything that was committed before this moment is visible there. */
  freshAsOf: 8,
  /** When that was found out. */
  freshAt: 9,
  /** Last known position: flushed or replayed. */
  lsn: 10,
  timeline: 11,
  /** Bytes that it is behind its primary. */
  lagBytes: 12,
} as const

/** Shard ids from 0; those beyond have no records. */
export const SHARD_RECORDS = 128

/** The record of `shard` that control writes; −1: it has none. */
export function stateRecord(shard: number): number {
  return shard >= 0 && shard < SHARD_RECORDS ? shard : -1
}

/** The record of `shard` that `plane` writes; −1: it has none. */
export function loadRecord(plane: number, shard: number): number {
  return shard >= 0 && shard < SHARD_RECORDS ? (plane + 1) * SHARD_RECORDS + shard : -1
}

/** One tier at one shard, as one plane sees it. */
export interface TierLoadView {
  readonly held: number
  readonly waiting: number
  readonly allowed: number
  readonly admitted: number
  readonly waits: number
  readonly waitMs: number
  readonly refused: number
  readonly timedOut: number
  readonly latencySumMs: number
  readonly latencyCount: number
  /** Running counts of waits: see `SHARD_WAITS`. */
  readonly waitCounts: readonly number[]
}

/**
 * What one plane has of a shard: `limit` of its slots at the moment, `peakLatencyMs` the slowest latency of late,
 * running totals of reads.
 */
export interface ShardLoadView {
  readonly limit: number
  readonly peakLatencyMs: number
  readonly replicaReads: number
  readonly retriedReads: number
  /** In the order of `TIERS`. */
  readonly tiers: readonly TierLoadView[]
}

/** What `plane` has written of `shard`, or null when it never had anything to do with it. */
export function readShardLoad(region: Region, plane: number, shard: number): ShardLoadView | null {
  const record = loadRecord(plane, shard)
  if (record < 0) return null
  const i = record * (region.recordBytes >> 2)
  const f = record * (region.recordBytes >> 3)
  const limit = region.i32[i + SHARD_LOAD.limit] ?? 0
  if (limit === 0) return null
  const total = (field: number): number => region.f64[f + field] ?? 0
  return {
    limit,
    peakLatencyMs: total(SHARD_LOAD_F64.peakLatencyMs),
    replicaReads: total(SHARD_LOAD_F64.replicaReads),
    retriedReads: total(SHARD_LOAD_F64.retriedReads),
    tiers: TIERS.map((_, tier) => ({
      held: region.i32[i + SHARD_LOAD.held + tier] ?? 0,
      waiting: region.i32[i + SHARD_LOAD.waiting + tier] ?? 0,
      allowed: region.i32[i + SHARD_LOAD.allowed + tier] ?? 0,
      admitted: total(SHARD_LOAD_F64.admitted + tier),
      waits: total(SHARD_LOAD_F64.waits + tier),
      waitMs: total(SHARD_LOAD_F64.waitMs + tier),
      refused: total(SHARD_LOAD_F64.refused + tier),
      timedOut: total(SHARD_LOAD_F64.timedOut + tier),
      latencySumMs: total(SHARD_LOAD_F64.latencySumMs + tier),
      latencyCount: total(SHARD_LOAD_F64.latencyCount + tier),
      waitCounts: waitCounts(region, f, tier),
    })),
  }
}

function waitCounts({ f64 }: Region, f: number, tier: number): readonly number[] {
  const at = f + SHARD_WAITS.first + tier * SHARD_WAITS.buckets
  return Array.from(f64.subarray(at, at + SHARD_WAITS.buckets))
}
