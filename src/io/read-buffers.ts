import type { NativeBuffer } from './native.ts'
import type { SendBatch } from './send-batch.ts'
import type { Steps } from './steps.ts'

/**
 * Free bytes kept before what a read delivers, so that a frame cut by the last read can be put in front of the rest.
 * A frame that must be seen whole may be this long; longer ones stream through.
 */
export const READ_HEADROOM = 65_536
export const READ_BYTES = 65_536

/** How many reads one step may make. */
export const READ_BUFFERS = 32
/** With fewer left it is better to commit what there is. */
const SPARE_BUFFERS = 4

/**
 * Where reads land. Each read of a step has a buffer of its own, which stays as it is until the step is committed and what
 * was passed on of it has left.
 */
export class ReadBuffers {
  readonly #buffers: readonly NativeBuffer[]
  readonly #sends: SendBatch
  readonly #steps: Steps
  #serial = 0
  #next = 0
  current: NativeBuffer
  /** Where `claimRoom` goes on, in the step with this serial. */
  #room: NativeBuffer | null = null
  #roomAt = 0
  #roomSerial = 0

  constructor(buffers: readonly NativeBuffer[], sends: SendBatch, steps: Steps) {
    const [first] = buffers
    if (first === undefined) throw new Error('read buffers: none')
    for (const buffer of buffers) buffer.keepStable()
    this.#buffers = buffers
    this.#sends = sends
    this.#steps = steps
    this.current = first
  }

  get isCrowded(): boolean {
    return this.#next + SPARE_BUFFERS > this.#buffers.length && this.#serial === this.#sends.serial
  }

  get count(): number {
    return this.#buffers.length
  }

  /** Between two events: so many can be claimed now without a commit. */
  makeRoom(count: number): void {
    const free = this.#serial === this.#sends.serial ? this.#buffers.length - this.#next : this.#buffers.length
    if (free >= count) return
    this.#sends.settle()
    this.#next = 0
  }

  /** What it holds is used next. */
  use(buffer: NativeBuffer): void {
    this.current = buffer
  }

  /**
   * Makes a buffer current that may be overwritten. Nobody may still be using what the last one holds. `mark`: the
   * `slotMark` of the connection that is read, `before`: how much was.
   */
  claim(mark = 0, before = 0): void {
    // A step is over: the first buffer, which is the one in the processor's cache, is free again.
    if (this.#serial !== this.#sends.serial) this.#next = 0
    if (this.#next === this.#buffers.length) {
      this.#sends.flush()
      this.#next = 0
    }
    this.#serial = this.#sends.serial
    this.#steps.noteRead(this.#next, mark, before)
    this.current = this.#buffers[this.#next++] as NativeBuffer
  }

  /**
   * Makes a buffer current that has room for so many bytes, at most its size, behind what came there in this step for others.
   * Returns where.
   */
  claimRoom(bytes: number): number {
    if (this.#room === null || this.#roomSerial !== this.#sends.serial || this.#roomAt + bytes > this.#room.size) {
      this.claim()
      this.#room = this.current
      this.#roomAt = 0
      this.#roomSerial = this.#serial
    }
    const at = this.#roomAt
    this.#roomAt = at + bytes
    this.current = this.#room
    return at
  }

  /**
   * The same for two buffers at once: what is read for `mark` lands in the one that is returned, and what is made of it in
   * the current one.
   */
  claimTwo(mark: number, before: number): NativeBuffer {
    if (this.#serial === this.#sends.serial && this.#next + 2 > this.#buffers.length) this.#sends.flush()
    this.claim(mark, before)
    const first = this.current
    this.claim()
    return first
  }

  unclaimTwo(): void {
    this.#next -= 2
  }

  /** Nothing came. */
  unclaim(): void {
    this.#next--
  }
}
