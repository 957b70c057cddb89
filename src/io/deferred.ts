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
  readonly #waiting: Deferrable[] = []
  readonly #next: () => void

  /** `next` is called before each. */
  constructor(next: () => void) {
    this.#next = next
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0
  }

  /** Once is enough, however often it is asked for before it runs. */
  add(work: Deferrable): void {
    if (work.isDeferred) return
    work.isDeferred = true
    this.#waiting.push(work)
  }

  /** Until nothing is left, what is added meanwhile included. */
  run(): void {
    const waiting = this.#waiting
    if (waiting.length === 0) return
    for (let at = 0; at < waiting.length; at++) {
      const work = waiting[at] as Deferrable
      work.isDeferred = false
      this.#next()
      try {
        work.runDeferred()
      } catch (error) {
        work.onFault(error)
      }
    }
    waiting.length = 0
  }
}
