import type { Link } from './link.ts'
import type { NativeBuffer } from './native.ts'
import type { SendBatch } from './send-batch.ts'

/** A stretch this long goes out by itself rather than being copied behind what was composed before it. */
const COPY_BYTES = 8192
/** With less room than this, what was composed before has to leave first. */
const LEAST_ROOM = 2 * COPY_BYTES

/**
 * One outgoing stream put together from stretches of what was read and messages of our own, so that it leaves with as
 * few `send`s as possible. Without own messages nothing is copied: one stretch, one `send`.
 *
 * `begin`, then `forward` and `insert` in order, then `flush`. Shared by all connections of a plane, used by one at a
 * time.
 */
export class Gather {
  readonly #own: NativeBuffer
  readonly #sends: SendBatch
  /** Where in `#own` this stream's bytes begin: behind those of others that wait in the batch. */
  #base = 0
  #length = 0
  #source: NativeBuffer | null = null
  #start = 0
  #end = 0
  #link: Link | null = null
  #failed = false
  #hasLeft = false

  /** `own`: at least 64 KiB of the gather's own. */
  constructor(own: NativeBuffer, sends: SendBatch) {
    own.keepStable()
    this.#own = own
    this.#sends = sends
  }

  /** Little room is left until what was composed has left. */
  get isCrowded(): boolean {
    return this.#base * 2 > this.#own.size && this.#sends.holds(this.#own)
  }

  begin(link: Link): void {
    this.#link = link
    this.#length = 0
    if (this.#base !== 0) this.#makeRoom()
    this.#source = null
    this.#failed = false
    this.#hasLeft = false
  }

  /** Something of it has left already, since `begin`. */
  get hasLeft(): boolean {
    return this.#hasLeft
  }

  /** `source[start, end)` comes next. */
  forward(source: NativeBuffer, start: number, end: number): void {
    if (start >= end) return
    if (this.#source === source && this.#end === start) {
      this.#end = end
      return
    }
    if (this.#source !== null) this.#settle()
    this.#source = source
    this.#start = start
    this.#end = end
  }

  /** Our own bytes come next; they are copied. */
  insert(bytes: Uint8Array): void {
    if (this.#source !== null) this.#settle()
    for (let at = 0; at < bytes.length; ) {
      const end = this.#base + this.#length
      if (end === this.#own.size) {
        this.#sendOwn()
        continue
      }
      const count = Math.min(bytes.length - at, this.#own.size - end)
      this.#own.bytes.set(count === bytes.length ? bytes : bytes.subarray(at, at + count), end)
      this.#length += count
      at += count
    }
  }

  /** Sends everything; false when the peer is gone. */
  flush(): boolean {
    const source = this.#source
    if (this.#length === 0) {
      if (source !== null) this.#send(source, this.#start, this.#end)
    } else {
      if (source !== null) this.#settle()
      this.#sendOwn()
    }
    this.#source = null
    this.#link = null
    const delivered = !this.#failed
    // Somebody who flushes without having begun is not to blame for it.
    this.#failed = false
    return delivered
  }

  /** The pending stretch is copied, or sent by itself when it is long. */
  #settle(): void {
    const source = this.#source
    if (source === null) return
    this.#source = null
    const count = this.#end - this.#start
    if (count > COPY_BYTES || this.#base + this.#length + count > this.#own.size) {
      this.#sendOwn()
      if (count > COPY_BYTES) {
        this.#send(source, this.#start, this.#end)
        return
      }
    }
    source.bytes.copy(this.#own.bytes, this.#base + this.#length, this.#start, this.#end)
    this.#length += count
  }

  #sendOwn(): void {
    if (this.#length > 0) this.#send(this.#own, this.#base, this.#base + this.#length)
    this.#base += this.#length
    this.#length = 0
    this.#makeRoom()
  }

  #makeRoom(): void {
    if (this.#own.size - this.#base < LEAST_ROOM) this.#sends.flush()
    if (!this.#sends.holds(this.#own)) this.#base = 0
  }

  #send(source: NativeBuffer, start: number, end: number): void {
    if (this.#failed || this.#link === null) return
    this.#hasLeft = true
    if (!this.#link.write(source, start, end)) this.#failed = true
  }
}
