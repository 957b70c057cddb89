import type { NativeBuffer } from './native.ts'
import type { SendBatch } from './send-batch.ts'

/** How many reads of one wake-up may wait for the batch of sends. */
export const READ_BUFFERS = 16

/**
 * Where reads land. One at a time is in use; it is changed when bytes in it have been passed on and wait to leave, so that
 * the next read does not overwrite them.
 */
export class ReadBuffers {
  readonly #buffers: readonly NativeBuffer[]
  readonly #sends: SendBatch
  #serial: number
  #at = 0
  current: NativeBuffer

  constructor(buffers: readonly NativeBuffer[], sends: SendBatch) {
    const [first] = buffers
    if (first === undefined) throw new Error('read buffers: none')
    for (const buffer of buffers) buffer.keepStable()
    this.#buffers = buffers
    this.#sends = sends
    this.#serial = sends.serial
    this.current = first
  }

  /** Makes a buffer current that may be overwritten. Nobody may still be using what the last one holds. */
  claim(): void {
    // A batch has left: the first buffer, which is the one in the processor's cache, is free again, most likely.
    if (this.#serial !== this.#sends.serial) this.#at = 0
    while (this.#sends.holds(this.#buffers[this.#at] as NativeBuffer)) {
      if (++this.#at < this.#buffers.length) continue
      this.#sends.flush()
      this.#at = 0
    }
    this.#serial = this.#sends.serial
    this.current = this.#buffers[this.#at] as NativeBuffer
  }
}
