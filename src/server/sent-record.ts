import type { NativeBuffer } from '../io/native.ts'

/** Longer requests are not kept. */
const KEPT_BYTES = 2048
/** A buffer that has grown beyond this is given back when it is empty. */
const SPARED_BYTES = 16_384

/**
 * What the client of a server connection has sent, as the client sent it, so that it can be sent again when the connection
 * dies: since everything was answered last, or, where whole transactions are kept, since no transaction was open last. Costs
 * one copy of short requests, and nothing else.
 */
export class SentRecord {
  #bytes: Buffer | null = null
  #length = 0
  #isWhole = false
  #isFromStart = false
  /** So many bytes at the beginning are answered. */
  #answered = 0
  /** Most bytes of a transaction that are kept; 0: each request is kept by itself. */
  transactionBytes = 0

  /**
   * All that was sent is answered, and something is sent now. `isIdle`: no transaction is open. True: what was kept is
   * forgotten.
   */
  begin(isIdle: boolean): boolean {
    if (!isIdle && this.transactionBytes > 0 && this.#isWhole) {
      this.#answered = this.#length
      return false
    }
    this.#length = 0
    this.#answered = 0
    this.#isWhole = true
    this.#isFromStart = isIdle
    if (this.#bytes !== null && this.#bytes.length > SPARED_BYTES) this.#bytes = null
    return true
  }

  /** `source[start, end)` was sent. */
  note(source: NativeBuffer, start: number, end: number): void {
    if (!this.#isWhole) return
    const length = this.#length + end - start
    if (length > KEPT_BYTES && length > this.transactionBytes) {
      this.#isWhole = false
      return
    }
    const bytes = this.#roomFor(length)
    source.bytes.copy(bytes, this.#length, start, end)
    this.#length = length
  }

  #roomFor(length: number): Buffer {
    const old = this.#bytes
    if (old !== null && old.length >= length) return old
    let size = KEPT_BYTES
    while (size < length) size *= 2
    this.#bytes = Buffer.allocUnsafeSlow(size)
    old?.copy(this.#bytes, 0, 0, this.#length)
    return this.#bytes
  }

  /** All since no transaction was open; null: it was too long, or nothing was asked. A view that is valid until the next `note`. */
  get whole(): Buffer | null {
    return this.#isFromStart ? this.#from(0) : null
  }

  /** What is not answered; null as for `whole`. A view as well. */
  get pending(): Buffer | null {
    return this.#from(this.#answered)
  }

  /** Bytes that are kept. */
  get length(): number {
    return this.#length
  }

  /** How many of them, the first ones, were answered when the last request began. */
  get answered(): number {
    return this.#answered
  }

  #from(start: number): Buffer | null {
    return this.#isWhole && this.#bytes !== null && this.#length > start
      ? this.#bytes.subarray(start, this.#length)
      : null
  }

  /** Nobody is owed anything of it any more. */
  forget(): void {
    this.#length = 0
    this.#answered = 0
    this.#isWhole = false
  }
}
