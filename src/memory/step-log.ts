/** Reads of one step at most, one for each buffer that reads land in. */
export const LOGGED_READS = 32
/** Sends of one step at most. */
export const LOGGED_SENDS = 4096

const READS_AT = 64
const READ_BYTES = 16
const SENDS_AT = READS_AT + LOGGED_READS * READ_BYTES
const SEND_BYTES = 16
export const STEP_LOG_BYTES = Math.ceil((SENDS_AT + LOGGED_SENDS * SEND_BYTES) / 4096) * 4096

/** f64 and i32 indexes of the head. */
const COMMITTED = 0
const STEP = 1
const READS = 4
const SENDS = 5
const IS_SENDING = 6
const IS_READING = 7

/** Bytes that a read took from the kernel: where they are is known from the buffer, how many from the next read. */
export interface LoggedRead {
  readonly buffer: number
  /** Total of what had been read from the connection before. */
  readonly before: number
}

/** Bytes on their way: where they lie in the whole shared memory. */
export interface LoggedSend {
  readonly offset: number
  readonly bytes: number
}

/**
 * The steps of a plane, in shared memory. A step is what one wake-up of the reactor does: reads, and what follows from
 * them. Nothing that it writes leaves before it is committed, which is one store, and what it has read stays where it landed
 * until then. So whoever comes after a crash finds either nothing of a step or all of it.
 *
 *   last committed step f64, step at work f64, its number of reads and sends i32, whether sends and whether reads of several
 *   connections are with the kernel i32 each
 *   32 reads: slot mark i32, buffer i32, total before f64
 *   4096 sends: slot mark i32, bytes i32, offset in the shared memory f64
 */
export class StepLog {
  readonly #i32: Int32Array
  readonly #f64: Float64Array

  /** `memory`: STEP_LOG_BYTES, zeroed, or what a predecessor left there. */
  constructor(memory: Buffer) {
    this.#i32 = new Int32Array(memory.buffer, memory.byteOffset, STEP_LOG_BYTES >> 2)
    this.#f64 = new Float64Array(memory.buffer, memory.byteOffset, STEP_LOG_BYTES >> 3)
  }

  /** The last step that counts. */
  get committed(): number {
    return this.#f64[COMMITTED] as number
  }

  /** The process died between handing sends to the kernel and taking note of what became of them. */
  get wasSending(): boolean {
    return this.#i32[IS_SENDING] === 1
  }

  /** The process died between reading for several connections at once and counting what came. */
  get wasReading(): boolean {
    return this.#i32[IS_READING] === 1
  }

  /** A new step begins: nothing is known of the one before but what is committed. */
  begin(): void {
    this.#i32[READS] = 0
    this.#i32[SENDS] = 0
    this.#f64[STEP] = this.committed + 1
  }

  /** `buffer` is about to be read into for the connection with this `slotMark`. Buffers are used in their order. */
  noteRead(buffer: number, mark: number, before: number): void {
    const i = (READS_AT >> 2) + buffer * (READ_BYTES >> 2)
    this.#i32[i] = mark
    this.#i32[i + 1] = buffer
    this.#f64[(i + 2) >> 1] = before
    this.#i32[READS] = buffer + 1
  }

  /** The `at`th stretch that leaves when the step is committed. */
  noteSend(at: number, mark: number, offset: number, bytes: number): void {
    const i = (SENDS_AT >> 2) + at * (SEND_BYTES >> 2)
    this.#i32[i] = mark
    this.#i32[i + 1] = bytes
    this.#f64[(i + 2) >> 1] = offset
  }

  /** The step counts from now on, with its first `sends` sends. */
  commit(sends: number): void {
    this.#i32[SENDS] = sends
    this.#f64[COMMITTED] = this.committed + 1
  }

  sending(isSending: boolean): void {
    this.#i32[IS_SENDING] = isSending ? 1 : 0
  }

  reading(isReading: boolean): void {
    this.#i32[IS_READING] = isReading ? 1 : 0
  }

  /** Slot marks of all for whom something was read that is not committed, or committed that may not have left. */
  concerned(): ReadonlySet<number> {
    const marks = new Set<number>()
    const add = (from: number, count: number, bytes: number): void => {
      for (let at = 0; at < count; at++) marks.add(this.#i32[(from + at * bytes) >> 2] as number)
    }
    if ((this.#f64[STEP] as number) > this.committed) add(READS_AT, this.#i32[READS] as number, READ_BYTES)
    if (this.#f64[STEP] === this.committed) add(SENDS_AT, this.#i32[SENDS] as number, SEND_BYTES)
    return marks
  }

  /** What was read for this connection and is not committed, in order. */
  uncommittedReads(mark: number): readonly LoggedRead[] {
    const reads: LoggedRead[] = []
    if ((this.#f64[STEP] as number) <= this.committed) return reads
    for (let at = 0; at < (this.#i32[READS] as number); at++) {
      const i = (READS_AT >> 2) + at * (READ_BYTES >> 2)
      if (this.#i32[i] !== mark) continue
      reads.push({ buffer: this.#i32[i + 1] as number, before: this.#f64[(i + 2) >> 1] as number })
    }
    return reads
  }

  /** What was committed for this connection and may not have left yet, in order. */
  committedSends(mark: number): readonly LoggedSend[] {
    const sends: LoggedSend[] = []
    if (this.#f64[STEP] !== this.committed) return sends
    for (let at = 0; at < (this.#i32[SENDS] as number); at++) {
      const i = (SENDS_AT >> 2) + at * (SEND_BYTES >> 2)
      if (this.#i32[i] !== mark) continue
      sends.push({ offset: this.#f64[(i + 2) >> 1] as number, bytes: this.#i32[i + 1] as number })
    }
    return sends
  }
}
