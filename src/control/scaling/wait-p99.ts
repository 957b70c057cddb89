import { SHARD_WAITS } from '../../memory/shard-records.ts'

/** What a tier did at a shard in some time. */
export interface WaitSample {
  readonly intervalMs: number
  /** Transactions that began, those that had not to wait included. */
  readonly admitted: number
  /** How many waited how long: see `SHARD_WAITS`. */
  readonly waitCounts: readonly number[]
  /** That wait at its end. */
  readonly waiting: number
}

/** The part of the transactions that may wait for longer. */
const TAIL = 0.01

/**
 * How long 99 of 100 transactions waited at most, in milliseconds. Those that still wait count as well: with as many before
 * them, and as few going on, as in this time (Little's law).
 */
export function waitAtP99(sample: WaitSample): number {
  return Math.max(finishedAtP99(sample), pendingMs(sample))
}

function finishedAtP99({ admitted, waitCounts }: WaitSample): number {
  const waits = waitCounts.reduce((sum, count) => sum + count, 0)
  let left = Math.max(admitted, waits) * TAIL
  for (let bucket = waitCounts.length - 1; bucket >= 0; bucket--) {
    const count = waitCounts[bucket] ?? 0
    if (count > left) return upperMs(bucket) - (upperMs(bucket) - lowerMs(bucket)) * (left / count)
    left -= count
  }
  return 0
}

function pendingMs({ waiting, admitted, intervalMs }: WaitSample): number {
  if (waiting === 0) return 0
  return admitted === 0 ? intervalMs : (waiting / admitted) * intervalMs
}

function lowerMs(bucket: number): number {
  return bucket === 0 ? 0 : 2 ** (bucket - 2)
}

function upperMs(bucket: number): number {
  return bucket === SHARD_WAITS.buckets - 1 ? 2 * lowerMs(bucket) : 2 ** (bucket - 1)
}
