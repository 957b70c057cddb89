import { MalformedMessage, MessageReader } from '../protocol/reader.ts'

/** Rows of an answer to a question of ours; values are text, null is NULL. */
export type Rows = readonly (readonly (string | null)[])[]

/** An answer with more than this is given up. */
export const MOST_CAPTURED_BYTES = 65_536

/** An answer in part. */
export interface CapturedState {
  readonly rows: Rows
  readonly bytes: number
  readonly isWhole: boolean
}

/** Keeps the rows that a server sends in answer to a question of ours, within a bound. */
export class CapturedRows {
  #rows: (string | null)[][] = []
  #bytes = 0
  #isWhole = true

  /** As another process had them. */
  static from({ rows, bytes, isWhole }: CapturedState): CapturedRows {
    const captured = new CapturedRows()
    captured.#rows = rows.map((row) => [...row])
    captured.#bytes = bytes
    captured.#isWhole = isWhole
    return captured
  }

  /** Some have come since the last `take`. */
  get isOpen(): boolean {
    return this.#bytes > 0
  }

  get state(): CapturedState {
    return { rows: this.#rows, bytes: this.#bytes, isWhole: this.#isWhole }
  }

  /** The body of a DataRow message: `bytes[start, end)`, values in text format. */
  add(bytes: Buffer, start: number, end: number): void {
    this.#bytes += end - start
    if (this.#bytes > MOST_CAPTURED_BYTES) this.giveUp()
    if (!this.#isWhole) return
    try {
      const reader = new MessageReader(bytes, start, end)
      const row: (string | null)[] = []
      for (let left = reader.int16(); left > 0; left--) {
        const length = reader.int32()
        row.push(length < 0 ? null : reader.raw(length).toString('utf8'))
      }
      this.#rows.push(row)
    } catch (error) {
      if (!(error instanceof MalformedMessage)) throw error
      this.giveUp()
    }
  }

  /** A row was too long to be kept. */
  giveUp(): void {
    this.#bytes = Math.max(this.#bytes, 1)
    this.#isWhole = false
    this.#rows = []
  }

  /** All rows since the last `take`; null when some are missing. */
  take(): Rows | null {
    const rows = this.#isWhole ? this.#rows : null
    this.#rows = []
    this.#bytes = 0
    this.#isWhole = true
    return rows
  }
}
