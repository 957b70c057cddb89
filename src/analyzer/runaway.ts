import type { RunawayValues } from '../shard/plane-values.ts'

/** Which limit a request went beyond; `none`: it did not. */
export const RUNAWAY_REASONS = ['none', 'elapsed', 'rows', 'bytes'] as const
export type RunawayReason = (typeof RUNAWAY_REASONS)[number]

/** What one request has used so far, held against the limits, of which 0 is none. */
export function runawayReason(limits: RunawayValues, elapsedMs: number, rows: number, bytes: number): RunawayReason {
  if (limits.elapsedMs > 0 && elapsedMs > limits.elapsedMs) return 'elapsed'
  if (limits.rows > 0 && rows > limits.rows) return 'rows'
  if (limits.bytes > 0 && bytes > limits.bytes) return 'bytes'
  return 'none'
}
