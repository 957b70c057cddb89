/** Longer requests are not kept, and so not tried on a replica. */
export const LONGEST_ATTEMPT_BYTES = 16_384

/**
 * A request that a replica is asked first: kept until the client has got something of the answer, so that the primary can
 * be asked instead. One for each server connection to a replica, used again and again.
 *
 * - open: nothing of the answer has gone to the client.
 * - closed: something has, or nothing is asked.
 */
export class ReadAttempt {
  readonly #kept: Buffer = Buffer.allocUnsafeSlow(LONGEST_ATTEMPT_BYTES)
  #length = 0
  #isOpen = false

  get isOpen(): boolean {
    return this.#isOpen
  }

  /** `bytes[start, end)` is sent. */
  open(bytes: Buffer, start: number, end: number): void {
    bytes.copy(this.#kept, 0, start, end)
    this.#length = end - start
    this.#isOpen = true
  }

  close(): void {
    this.#isOpen = false
  }

  /** A copy of what was asked. */
  request(): Buffer {
    return Buffer.from(this.#kept.subarray(0, this.#length))
  }
}
