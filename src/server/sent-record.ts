import type { NativeBuffer } from '../io/native.ts'

/** Longer requests are not kept. */
const KEPT_BYTES = 2048

/**
 * What the client of a server connection has asked since everything was answered last, as the client sent it: with this a
 * request can be run again when the connection dies. Costs one copy of short requests, and nothing else.
 */
export class SentRecord {
  #bytes: Buffer | null = null
  #length = 0
  #isWhole = false

  /** `source[start, end)` was sent; `isFirst`: nothing that was sent before is still to be answered. */
  note(source: NativeBuffer, start: number, end: number, isFirst: boolean): void {
    if (isFirst) {
      this.#length = 0
      this.#isWhole = true
    }
    if (!this.#isWhole) return
    const length = this.#length + end - start
    if (length > KEPT_BYTES) {
      this.#isWhole = false
      return
    }
    this.#bytes ??= Buffer.allocUnsafeSlow(KEPT_BYTES)
    source.bytes.copy(this.#bytes, this.#length, start, end)
    this.#length = length
  }

  /** All of it; null: it was too long, or nothing was asked. A view that is valid until the next `note`. */
  get whole(): Buffer | null {
    return this.#isWhole && this.#bytes !== null && this.#length > 0 ? this.#bytes.subarray(0, this.#length) : null
  }

  /** Nobody is owed anything of it any more. */
  forget(): void {
    this.#length = 0
    this.#isWhole = false
  }
}
