import type { Shard, Topology } from '../../shard/topology.ts'
import type { EventLevel, EventSink } from '../events/event-log.ts'
import { type StreamState, strayReason } from '../monitor/stream-state.ts'
import type { Operations } from '../operations/operations.ts'
import type { ShardClaim } from '../scaling/drivers/local/shard-claims.ts'
import type { FailoverSettings } from './failover-watch.ts'

export interface ReplicaWatchOptions {
  readonly settings: () => Pick<FailoverSettings, 'mode'>
  readonly topology: () => Topology
  /** Whether we may do something to its server. */
  readonly isOurs: (shard: Shard) => boolean
  readonly operations: Pick<Operations, 'isAtWork' | 'run'>
  /** Lets no other router work on these shards; a string: why that cannot be. */
  readonly claim: (shards: readonly string[]) => Promise<ShardClaim | string>
  /** What a server says of the log that it gets; null: no answer. */
  readonly ask: (shard: Shard) => Promise<StreamState | null>
  /** Monotonic milliseconds. */
  readonly now: () => number
  readonly events: EventSink
}

/** What is known of a server that does not follow, until it does. */
interface Stray {
  last: StreamState | null
  /** Since when it has been so without interruption; null: at the moment nobody says so. */
  since: number | null
  /** The reason that was told. */
  told: string
  /** Nothing is done before. */
  notBefore: number
  pauseMs: number
  /** An operation has ended well since it was seen to follow: the next one says whether that is worth anything. */
  isPutRight: boolean
}

const LOOK_EVERY_MS = 2_000
/** Beyond the time in which it tries twice to stream by itself. */
const PATIENCE_MS = 2_000
const FIRST_PAUSE_MS = 30_000
const LONGEST_PAUSE_MS = 600_000

/**
 * Sees that a server of ours does not follow its group's primary, and has it follow: a replica that was away during a failover or a
 * switchover and comes back with its old settings, or an old primary that somebody has started as one. Nothing is known
 * from before: what is found is what is put right, whoever decided and whichever process was there.
 *
 * - well: it streams the primary's timeline.
 * - astray: it does not, for longer than it takes to try again by itself. Ends with an operation, of which there is one at a
 *   time; after one that has not helped it waits, twice as long each time. A failover does not wait for it.
 */
export class ReplicaWatch {
  readonly #options: ReplicaWatchOptions
  readonly #strays = new Map<number, Stray>()
  #timer: NodeJS.Timeout | null = null
  /** Looks again when the patience with somebody is over. */
  #again: NodeJS.Timeout | null = null
  #isLooking = false

  constructor(options: ReplicaWatchOptions) {
    this.#options = options
  }

  start(): void {
    this.#timer = setInterval(() => void this.look(), LOOK_EVERY_MS)
    this.#timer.unref()
  }

  /** Begins nothing any more. */
  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#timer = null
    if (this.#again !== null) clearTimeout(this.#again)
    this.#again = null
  }

  /** One look at all groups; settles when what it has begun is over. */
  async look(): Promise<void> {
    const { settings, operations, topology } = this.#options
    if (this.#isLooking) return
    if (settings().mode !== 'local' || operations.isAtWork) {
      for (const stray of this.#strays.values()) stray.since = null
      return
    }
    this.#isLooking = true
    try {
      for (const group of new Set(topology().shards.map((shard) => shard.group))) await this.#lookAt(group)
    } finally {
      this.#isLooking = false
    }
  }

  async #lookAt(group: string): Promise<void> {
    const { topology, isOurs, ask } = this.#options
    const members = topology().shards.filter((shard) => shard.group === group)
    const [primary, ...more] = members.filter(({ role, up }) => role === 'primary' && up)
    if (primary === undefined || more.length > 0 || members.length === 1 || !members.every(isOurs)) return
    const standard = await ask(primary)
    if (standard === null) return
    for (const shard of members) {
      const state = shard.role === 'primary' ? null : await ask(shard)
      const stray = this.#strays.get(shard.id)
      if (state === null) {
        // It may come back as anything.
        if (stray !== undefined) stray.since = null
        continue
      }
      const from = { name: primary.name, state: standard }
      const reason = strayReason({ name: shard.name, state }, from, stray?.last ?? null)
      if (reason === null) this.#strays.delete(shard.id)
      else await this.#astray(shard, primary, { state, reason })
    }
  }

  async #astray(
    shard: Shard,
    primary: Shard,
    { state, reason }: { state: StreamState; reason: string },
  ): Promise<void> {
    const now = this.#options.now()
    const stray = this.#strays.get(shard.id) ?? NEW_STRAY()
    this.#strays.set(shard.id, stray)
    stray.last = state
    stray.since ??= now
    const dueAt = stray.since + PATIENCE_MS + 2 * state.retryMs
    if (now < dueAt || now < stray.notBefore) {
      if (stray.notBefore <= dueAt) this.#lookIn(dueAt - now)
      return
    }
    const what = `${shard.name} does not follow ${primary.name}, the primary of ${shard.group}`
    if (stray.told !== reason) this.#publish('warn', shard, what, reason)
    stray.told = reason
    const isPutRight = await this.#putRight(shard).catch((error: unknown) => {
      this.#publish('error', shard, what, error instanceof Error ? error.message : String(error))
      return false
    })
    stray.since = null
    if (isPutRight && !stray.isPutRight) {
      stray.isPutRight = true
      return
    }
    stray.notBefore = this.#options.now() + stray.pauseMs
    stray.pauseMs = Math.min(LONGEST_PAUSE_MS, 2 * stray.pauseMs)
  }

  #lookIn(milliseconds: number): void {
    if (this.#timer === null) return
    if (this.#again !== null) clearTimeout(this.#again)
    this.#again = setTimeout(() => void this.look(), milliseconds).unref()
  }

  /** False: it did not come to that, or has not helped. How it failed is in the operation's record and its event. */
  async #putRight(shard: Shard): Promise<boolean> {
    const { operations, claim, topology } = this.#options
    const group = topology().shards.filter((other) => other.group === shard.group)
    const claimed = await claim(group.map(({ name }) => name))
    // Another router is at work on them; this may be what it does.
    if (typeof claimed === 'string') return false
    try {
      if (this.#timer === null || operations.isAtWork) return false
      const running = operations.run({ kind: 'rejoin', group: shard.group, shard: shard.name })
      return await running.then(
        () => true,
        () => false,
      )
    } finally {
      await claimed.release()
    }
  }

  #publish(level: EventLevel, { name, group }: Shard, what: string, reason: string): void {
    this.#options.events.publish({ kind: 'failover', level, shard: name, what, reason, fields: { group } })
  }
}

const NEW_STRAY = (): Stray => ({
  last: null,
  since: null,
  told: '',
  notBefore: 0,
  pauseMs: FIRST_PAUSE_MS,
  isPutRight: false,
})
