import { crc32 } from 'node:zlib'

const WORD_BYTES = 4
/** Values begin where an integer may; a value's id is its place in such steps. */
const STEP_BYTES = 8
/** The first step holds how many bytes are in use. */
const FIRST = STEP_BYTES
/** Checksum and length of a value in one number that is exact. */
const LENGTHS = 2 ** 20

/**
 * Values that many sessions share (sets of settings, texts of statements, credentials), each kept once, in shared memory, so
 * that they outlive the plane that wrote them. Append-only: a value never changes, and its id stays good.
 *
 *   used bytes u32, zero u32, then for each value: its length u32, its bytes, zeros up to the next step
 *
 * A value is there once `used` has grown past it: what a crash leaves behind `used` does not exist.
 */
export class ValueStore {
  readonly #words: Int32Array
  readonly #bytes: Buffer
  /** By checksum and length; of two values that share these, the first. */
  readonly #ids = new Map<number, number>()
  /** Up to here values are in `#ids`. */
  #known = FIRST
  /** Something did not fit. */
  isFull = false

  /** `memory` is zeroed, or what an earlier process left there. */
  constructor(memory: Buffer) {
    this.#bytes = memory
    this.#words = new Int32Array(memory.buffer, memory.byteOffset, memory.length >> 2)
    this.catchUp()
  }

  /** Finds what another process has put here meanwhile. Writes nothing. */
  catchUp(): void {
    for (; this.#known < this.used; this.#known = this.#after(this.#known)) {
      const key = keyOf(this.#value(this.#known))
      if (!this.#ids.has(key)) this.#ids.set(key, this.#known / STEP_BYTES)
    }
  }

  /** Bytes in use. */
  get used(): number {
    return Math.max(FIRST, this.#words[0] as number)
  }

  get size(): number {
    return this.#ids.size
  }

  /** The id of `value`, which is kept if it is new; 0 when there is no room for it. */
  put(value: Uint8Array): number {
    const key = keyOf(value)
    const known = this.#ids.get(key)
    if (known !== undefined && this.#value(known * STEP_BYTES).equals(value)) return known
    const at = this.used
    const end = at + WORD_BYTES + value.length
    if (end > this.#bytes.length) {
      this.isFull = true
      return 0
    }
    this.#words[at >> 2] = value.length
    this.#bytes.set(value, at + WORD_BYTES)
    this.#words[0] = Math.ceil(end / STEP_BYTES) * STEP_BYTES
    this.#known = this.used
    if (known === undefined) this.#ids.set(key, at / STEP_BYTES)
    return at / STEP_BYTES
  }

  /** A copy of the value; null for an id that was never given. */
  get(id: number): Buffer | null {
    const at = id * STEP_BYTES
    if (id <= 0 || at >= this.used) return null
    return Buffer.from(this.#value(at))
  }

  /** The bytes themselves. */
  #value(at: number): Buffer {
    const start = at + WORD_BYTES
    return this.#bytes.subarray(start, start + (this.#words[at >> 2] as number))
  }

  #after(at: number): number {
    return Math.ceil((at + WORD_BYTES + (this.#words[at >> 2] as number)) / STEP_BYTES) * STEP_BYTES
  }
}

const keyOf = (value: Uint8Array): number => crc32(value) * LENGTHS + (value.length % LENGTHS)
