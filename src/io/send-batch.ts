import { MSG_DONTWAIT, MSG_NOSIGNAL, type NativeBuffer } from './native.ts'
import type { OwnedFd } from './owned-fd.ts'
import { RING_ENTRIES, type SubmissionRing } from './submission-ring.ts'

/** Whose bytes leave with a batch. */
export interface BatchedSender {
  readonly fd: OwnedFd
  /** What `send` returned for `source[start, end)`: a count, or a negative error number. Must neither throw nor send. */
  onSent(result: number, source: NativeBuffer, start: number, end: number): void
}

/**
 * The sends of one wake-up, held back so that all leave with one system call: at 16 busy clients that saves a sixth of
 * the CPU time of a query. Without a ring nothing is ever held back.
 *
 * Only bytes that stay as they are may be held back. Who owns such memory marks it with `NativeBuffer.batch`, and asks
 * `holds` before writing into it again.
 */
export class SendBatch {
  readonly #ring: SubmissionRing | null
  readonly #senders: (BatchedSender | null)[] = new Array<BatchedSender | null>(RING_ENTRIES).fill(null)
  readonly #sources: (NativeBuffer | null)[] = new Array<NativeBuffer | null>(RING_ENTRIES).fill(null)
  readonly #starts = new Int32Array(RING_ENTRIES)
  readonly #ends = new Int32Array(RING_ENTRIES)
  #serial = 1
  #count = 0

  constructor(ring: SubmissionRing | null) {
    this.#ring = ring
  }

  /** Number of the batch that is being put together. */
  get serial(): number {
    return this.#serial
  }

  get isEmpty(): boolean {
    return this.#count === 0
  }

  /** Some bytes of `buffer` have not left yet. */
  holds(buffer: NativeBuffer): boolean {
    return buffer.batch === this.#serial
  }

  /** Holds `source[start, end)` back for `sender`, which has nothing here yet. False: it has to be sent at once. */
  add(sender: BatchedSender, source: NativeBuffer, start: number, end: number): boolean {
    if (this.#ring === null || source.batch === 0) return false
    if (this.#count === RING_ENTRIES) this.flush()
    source.batch = this.#serial
    const at = this.#count++
    this.#senders[at] = sender
    this.#sources[at] = source
    this.#starts[at] = start
    this.#ends[at] = end
    return true
  }

  /** Everything leaves, and its senders are told. */
  flush(): void {
    const count = this.#count
    if (count === 0 || this.#ring === null) return
    const { results } = this.#ring
    for (let at = 0; at < count; at++) {
      const start = this.#starts[at] as number
      const address = (this.#sources[at] as NativeBuffer).address + start
      const { fd } = this.#senders[at] as BatchedSender
      this.#ring.send(fd.fd, address, (this.#ends[at] as number) - start, MSG_NOSIGNAL | MSG_DONTWAIT)
    }
    this.#ring.submit()
    this.#count = 0
    this.#serial++
    for (let at = 0; at < count; at++) {
      const sender = this.#senders[at] as BatchedSender
      const source = this.#sources[at] as NativeBuffer
      this.#senders[at] = null
      sender.onSent(results[at] as number, source, this.#starts[at] as number, this.#ends[at] as number)
    }
  }
}
