import type { Region } from '../memory/region.ts'
import { SHARD_STATE_F64, stateRecord } from '../memory/shard-records.ts'

/** Control looks at replicas several times a second; one that it has not seen for so long is not there. */
export const UNSEEN_MS = 900

/** How recent what replicas show is, as control finds it out: see `SHARD_STATE_F64`. Times are monotonic milliseconds. */
export class Freshness {
  readonly #records: Region

  constructor(records: Region) {
    this.#records = records
  }

  /** Everything committed before this moment is visible on the shard; −Infinity: nothing is known of it, or not any more. */
  of(shard: number, now: number): number {
    const record = stateRecord(shard)
    if (record < 0) return Number.NEGATIVE_INFINITY
    const f = record * (this.#records.recordBytes >> 3)
    const seenAt = this.#records.f64[f + SHARD_STATE_F64.freshAt] ?? 0
    if (seenAt === 0 || now - seenAt > UNSEEN_MS) return Number.NEGATIVE_INFINITY
    return this.#records.f64[f + SHARD_STATE_F64.freshAsOf] || Number.NEGATIVE_INFINITY
  }
}

/** What a session has written and seen, as far as it matters for its reads. */
export interface Causality {
  /** When the last transaction was over that it, or its identity, may have written in. */
  readonly wroteAt: number
  /** When it saw something last, and where (shard id). */
  readonly sawAt: number
  readonly sawOn: number
}

/**
 * How recent a shard must be for the session's next read: it has what the session wrote, and is not behind what it saw
 * elsewhere. `groupWroteAt`: when anybody wrote last through here; what is older than that cannot have changed since.
 */
export function requiredFreshness({ wroteAt, sawAt, sawOn }: Causality, shard: number, groupWroteAt: number): number {
  return sawOn === shard ? wroteAt : Math.max(wroteAt, Math.min(sawAt, groupWroteAt))
}
