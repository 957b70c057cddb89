import type { WalPosition } from './wal-position.ts'

interface Sample {
  /** Everything that was committed before this moment is at or before `lsn`. */
  asOf: number
  readonly lsn: number
}

/** More samples than that are more than a minute of writes. */
const MOST_SAMPLES = 8192

/**
 * Where the log of a group's primary was at which moment, so that a replica's position can be read as a moment: a position
 * that was asked for after a commit was acknowledged is at or behind that commit.
 */
export class WalHistory {
  #samples: Sample[] = []
  #timeline = 0
  #primary = -1

  /** When the last sample began; −Infinity: there is none. */
  get lastAsOf(): number {
    return this.#samples.at(-1)?.asOf ?? Number.NEGATIVE_INFINITY
  }

  get lsn(): number {
    return this.#samples.at(-1)?.lsn ?? 0
  }

  /** `shard`, the primary, was asked at `askedAt` (monotonic milliseconds) and was at `position`. */
  note(shard: number, askedAt: number, { lsn, timeline }: WalPosition): void {
    if (shard !== this.#primary || timeline !== this.#timeline) {
      // Positions of another history are not comparable.
      this.#samples = []
      this.#primary = shard
      this.#timeline = timeline
    }
    const last = this.#samples.at(-1)
    if (last !== undefined && lsn <= last.lsn) {
      last.asOf = Math.max(last.asOf, askedAt)
      return
    }
    this.#samples.push({ asOf: askedAt, lsn })
    if (this.#samples.length > MOST_SAMPLES) this.#samples.splice(0, MOST_SAMPLES / 2)
  }

  /** Nobody is known to be the primary. */
  forget(): void {
    this.#samples = []
    this.#primary = -1
  }

  /** Everything committed before this moment is visible to whoever has replayed so far; −Infinity: nothing is known. */
  asOf({ lsn, timeline }: WalPosition): number {
    if (timeline !== this.#timeline) return Number.NEGATIVE_INFINITY
    for (let at = this.#samples.length - 1; at >= 0; at--) {
      const sample = this.#samples[at] as Sample
      if (sample.lsn <= lsn) return sample.asOf
    }
    return Number.NEGATIVE_INFINITY
  }
}
