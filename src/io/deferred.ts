/** Work that has to wait until nobody uses the buffers that all connections share. */
export interface Deferrable {
  /** True from `add` until it runs; only `DeferredWork` writes it. */
  isDeferred: boolean
  runDeferred(): void
  /** `runDeferred` threw. */
  onFault(error: unknown): void
}

/**
 * What came up while the bytes of one connection were walked and concerns another: it may want to read, or to use bytes it
 * kept, and both would land in the buffer that is being walked. Runs in order, right after the event that caused it.
 */
export class DeferredWork {
  /** The first `#count` of them; the rest is null. */
  readonly #waiting: (Deferrable | null)[] = []
  #count = 0
  readonly #next: () => void

  /** `next` is called before each. */
  constructor(next: () => void) {
    this.#next = next
  }

  get isEmpty(): boolean {
    return this.#count === 0
  }

  /** Once is enough, however often it is asked for before it runs. */
  add(work: Deferrable): void {
    if (work.isDeferred) return
    work.isDeferred = true
    this.#waiting[this.#count++] = work
  }

  /** Until nothing is left, what is added meanwhile included. */
  run(): void {
    if (this.#count === 0) return
    const waiting = this.#waiting
    for (let at = 0; at < this.#count; at++) {
      const work = waiting[at] as Deferrable | null
      if (work === null) continue
      waiting[at] = null
      work.isDeferred = false
      this.#next()
      try {
        work.runDeferred()
      } catch (error) {
        work.onFault(error)
      }
    }
    this.#count = 0
  }
}
