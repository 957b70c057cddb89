/** The JavaScript heap of this process. */
export interface Heap {
  usedBytes(): number
  /** A full collection, at once; what is free then goes back to the kernel. */
  collect(): void
}

/** Garbage below this is not worth the pause. */
const WORTHWHILE_BYTES = 4 * 1024 * 1024
/** When it has been quiet for so many seconds, less is. */
const LONG_QUIET_SECONDS = 15
const LITTLE_BYTES = 512 * 1024
/** What a client's session leaves behind when it is closed. The heap does not grow by that, so it has to be counted. */
const SESSION_BYTES = 2048
/** Wake-ups in a second below which nobody notices a pause of some milliseconds. */
const QUIET_TURNS = 50

/**
 * Collects garbage when there is time for it. V8 would by itself, from Node's event loop, which a plane never enters: what
 * thousands of logins leave behind would stay until the next rush.
 */
export class IdleCollector {
  readonly #heap: Heap
  #turns = 0
  #closed = 0
  #quietSeconds = 0
  #kept: number

  constructor(heap: Heap) {
    this.#heap = heap
    this.#kept = heap.usedBytes()
  }

  /** Once a second, with the numbers of wake-ups and of clients closed so far; returns the bytes in use. */
  tick(turns: number, closed: number): number {
    this.#quietSeconds = turns - this.#turns < QUIET_TURNS ? this.#quietSeconds + 1 : 0
    this.#turns = turns
    const used = this.#heap.usedBytes()
    if (used < this.#kept) this.#kept = used
    const garbage = used - this.#kept + (closed - this.#closed) * SESSION_BYTES
    const least = this.#quietSeconds < LONG_QUIET_SECONDS ? WORTHWHILE_BYTES : LITTLE_BYTES
    if (this.#quietSeconds === 0 || garbage < least) return used
    this.#closed = closed
    this.#heap.collect()
    this.#kept = this.#heap.usedBytes()
    return this.#kept
  }
}
