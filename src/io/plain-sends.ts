import { errno, native } from './native.ts'
import type { SendQueue } from './send-batch.ts'
import { RING_ENTRIES } from './submission-ring.ts'

/** Sends one by one, where there is no ring. */
export class PlainSends implements SendQueue {
  readonly results: Int32Array = new Int32Array(RING_ENTRIES)
  readonly receives = null
  #queued = 0

  send(fd: number, address: number, bytes: number, flags: number): number {
    const count = native.send(fd, address, bytes, flags)
    this.results[this.#queued] = count >= 0 ? count : -errno()
    return this.#queued++
  }

  submit(): void {
    this.#queued = 0
  }
}
