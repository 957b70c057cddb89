import { type LoadRates, loadRates } from './load-rates.ts'
import type { LoadSample } from './load-sample.ts'

/** Who can be asked; see `ShardProbe.load`. */
export interface LoadSource {
  load(timeoutMs: number): Promise<LoadSample | 'slow' | null>
}

/** What one shard says of its load, asked again and again. */
export class LoadWatch {
  readonly #intervalMs: number
  readonly #now: () => number
  #sample: LoadSample | null = null
  #rates: LoadRates | null = null
  #askedAt = Number.NEGATIVE_INFINITY
  #isSlow = false

  /** `now`: monotonic milliseconds. */
  constructor(intervalMs: number, now: () => number) {
    this.#intervalMs = intervalMs
    this.#now = now
  }

  /** What it said last; null: nothing, or it was away since. */
  get sample(): LoadSample | null {
    return this.#sample
  }

  /** What it did per second between its last two answers; null: not known. */
  get rates(): LoadRates | null {
    return this.#rates
  }

  /** It had no time to answer the last question. */
  get isSlow(): boolean {
    return this.#isSlow
  }

  get isDue(): boolean {
    return this.#now() - this.#askedAt >= this.#intervalMs
  }

  async ask(source: LoadSource, timeoutMs: number): Promise<void> {
    this.#askedAt = this.#now()
    const answer = await source.load(timeoutMs)
    this.#isSlow = answer === 'slow'
    if (answer === null || answer === 'slow') {
      this.#rates = null
      return
    }
    this.#rates = this.#sample === null ? null : loadRates(this.#sample, answer)
    this.#sample = answer
  }

  /** The shard is away: what it said holds no longer. */
  forget(): void {
    this.#sample = null
    this.#rates = null
    this.#isSlow = false
  }
}
