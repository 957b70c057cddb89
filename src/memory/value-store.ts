const WORD_BYTES = 4
/** Values begin where an integer may; a value's id is its place in such steps. */
const STEP_BYTES = 8
/** The first step holds how many bytes are in use. */
const FIRST = STEP_BYTES

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
  readonly #ids = new Map<string, number>()
  /** Something did not fit. */
  isFull = false

  /** `memory` is zeroed, or what an earlier process left there. */
  constructor(memory: Buffer) {
    this.#bytes = memory
    this.#words = new Int32Array(memory.buffer, memory.byteOffset, memory.length >> 2)
    if (this.#words[0] === 0) this.#words[0] = FIRST
    for (let at = FIRST; at < this.used; at = this.#after(at)) this.#ids.set(this.#text(at), at / STEP_BYTES)
  }

  /** Bytes in use. */
  get used(): number {
    return this.#words[0] as number
  }

  get size(): number {
    return this.#ids.size
  }

  /** The id of `value`, which is kept if it is new; 0 when there is no room for it. */
  put(value: Uint8Array): number {
    const key = Buffer.from(value.buffer, value.byteOffset, value.length).toString('latin1')
    const known = this.#ids.get(key)
    if (known !== undefined) return known
    const at = this.used
    const end = at + WORD_BYTES + value.length
    if (end > this.#bytes.length) {
      this.isFull = true
      return 0
    }
    this.#words[at >> 2] = value.length
    this.#bytes.set(value, at + WORD_BYTES)
    this.#words[0] = Math.ceil(end / STEP_BYTES) * STEP_BYTES
    this.#ids.set(key, at / STEP_BYTES)
    return at / STEP_BYTES
  }

  /** A copy of the value; null for an id that was never given. */
  get(id: number): Buffer | null {
    const at = id * STEP_BYTES
    if (id <= 0 || at >= this.used) return null
    const length = this.#words[at >> 2] as number
    return Buffer.from(this.#bytes.subarray(at + WORD_BYTES, at + WORD_BYTES + length))
  }

  #text(at: number): string {
    return this.#bytes.toString('latin1', at + WORD_BYTES, at + WORD_BYTES + (this.#words[at >> 2] as number))
  }

  #after(at: number): number {
    return Math.ceil((at + WORD_BYTES + (this.#words[at >> 2] as number)) / STEP_BYTES) * STEP_BYTES
  }
}
