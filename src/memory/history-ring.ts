import { HISTORY_RECORDS } from './layout.ts'
import type { Region } from './region.ts'

/**
 * What a plane tells control for the history, through shared memory: a ring of records, of which the first says how many
 * were ever written, and read. One writer, one reader; a full ring drops what is new, so the plane never waits.
 */

/** i32 indexes within a record. */
export const SNAPSHOT = {
  /** SNAPSHOT_KINDS. */
  kind: 0,
  slot: 1,
  generation: 2,
  queries: 3,
  /** Tier codes + 1, 0: none. */
  decided: 4,
  proposed: 5,
  ruleTier: 6,
  source: 7,
  remotePort: 8,
  model: 9,
} as const

/** f64 indexes: monotonic milliseconds. */
export const SNAPSHOT_F64 = { time: 8, connectedAt: 9 } as const

/** First f32 of the features. */
export const SNAPSHOT_FEATURES = 32
export const SNAPSHOT_TEXT = {
  user: { offset: 512, capacity: 64 },
  database: { offset: 576, capacity: 64 },
  application: { offset: 640, capacity: 64 },
  subnet: { offset: 704, capacity: 56 },
} as const

/** Taken while the connection lives, or at its end. */
export const SNAPSHOT_KINDS = ['running', 'end'] as const

/** f64 indexes within the ring's first record. */
const HEAD = { written: 0, read: 1 } as const

/** One plane's ring. */
export class HistoryRing {
  readonly region: Region
  readonly #head: number
  readonly #first: number

  constructor(region: Region, plane: number) {
    this.region = region
    this.#first = plane * HISTORY_RECORDS
    this.#head = this.#first * (region.recordBytes >> 3)
  }

  /** The record to write next, −1 when there is no room. `commit` makes it count. */
  claim(): number {
    const { f64 } = this.region
    const written = f64[this.#head + HEAD.written] as number
    if (written - (f64[this.#head + HEAD.read] as number) >= HISTORY_RECORDS - 1) return -1
    return this.#recordAt(written)
  }

  commit(): void {
    this.region.f64[this.#head + HEAD.written]! += 1
  }

  /** Hands over every record that is there, and frees it. Returns how many. */
  drain(take: (record: number) => void): number {
    const { f64 } = this.region
    const written = f64[this.#head + HEAD.written] as number
    let read = f64[this.#head + HEAD.read] as number
    const from = read
    for (; read < written; read++) {
      take(this.#recordAt(read))
      f64[this.#head + HEAD.read] = read + 1
    }
    return read - from
  }

  #recordAt(count: number): number {
    return this.#first + 1 + (count % (HISTORY_RECORDS - 1))
  }
}
