import { countLostWork, type LostWorkCounts } from '../../memory/lost-work.ts'
import type { DroppedClient } from '../../memory/preservation.ts'
import type { SharedState } from '../../memory/shared-state.ts'

/** What was lost before somebody began to count. */
export interface EarlierLosses {
  readonly clients: readonly DroppedClient[]
  /** Totals as they were before; null: nobody knows. */
  readonly work: LostWorkCounts | null
}

interface LostClient {
  readonly at: number
  readonly shard: number
  readonly client: DroppedClient
}

const KEPT_MS = 120_000
const MOST_CLIENTS = 10_000

/**
 * What planes have lost with their server connections of late. A failover begins when the loss of its primary is confirmed; its report,
 * with what clients were told at once.
 */
export class RecentLosses {
  readonly #memory: SharedState
  readonly #now: () => number
  #clients: LostClient[] = []
  #samples: { readonly at: number; readonly work: LostWorkCounts }[] = []

  /** `now`: monotonic milliseconds. */
  constructor(memory: SharedState, now: () => number) {
    this.#memory = memory
    this.#now = now
  }

  /** A client has ended, because state of its session was on a server connection that died. */
  note(shard: number, client: DroppedClient): void {
    if (this.#clients.length < MOST_CLIENTS) this.#clients.push({ at: this.#now(), shard, client })
  }

  /** Once a second. */
  sample(): void {
    const now = this.#now()
    this.#samples.push({ at: now, work: countLostWork(this.#memory) })
    this.#samples = this.#samples.filter(({ at }) => at >= now - KEPT_MS)
    this.#clients = this.#clients.filter(({ at }) => at >= now - KEPT_MS)
  }

  /** On these shards, from `at` on. */
  since(from: number, shards: ReadonlySet<number>): EarlierLosses {
    const clients = this.#clients.filter(({ at, shard }) => at >= from && shards.has(shard)).map(({ client }) => client)
    const before = this.#samples.findLast(({ at }) => at <= from) ?? this.#samples[0]
    return { clients, work: before?.work ?? null }
  }
}
