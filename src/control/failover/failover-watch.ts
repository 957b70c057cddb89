import type { Shard, Topology } from '../../shard/topology.ts'
import type { EventLevel, EventSink } from '../events/event-log.ts'
import type { Operations } from '../operations/operations.ts'
import type { ShardClaim } from '../scaling/drivers/local/shard-claims.ts'
import { lostPrimaries } from './lost-primary.ts'
import { isGone } from './primary-check.ts'

/** Section `[failover]`: who does not answer so many knocks, so long apart, is gone. */
export interface FailoverSettings {
  readonly mode: 'follow' | 'local'
  readonly refusals: number
  readonly pauseMs: number
}

/** What the watch looks at, and what it acts through. */
export interface FailoverWatchOptions {
  readonly settings: () => FailoverSettings
  readonly topology: () => Topology
  /** Whether we may promote in its group. */
  readonly isOurs: (shard: Shard) => boolean
  readonly operations: Pick<Operations, 'isBusy' | 'run'>
  /** Lets no other router work on these shards; a string: why that cannot be. */
  readonly claim: (shards: readonly string[]) => Promise<ShardClaim | string>
  /** Whether a server answers there. */
  readonly knock: (shard: Shard) => Promise<boolean>
  readonly pause: (ms: number) => Promise<void>
  /** The shard is alive after all. */
  readonly onAlive: (shard: Shard) => void
  readonly events: EventSink
}

/** Times the pause between two knocks. */
const PATIENCE = 10

/**
 * Sees that a primary of ours is lost, makes sure of it, and has a replica take its place. There is one decider: whoever has the
 * claim on the shards of the group. The others wait, and look again.
 *
 * - watching: `look` is called for each new topology.
 * - confirming: a primary is down; knocked at its door, so often that one refusal is no verdict. Ends with an answer, or
 *   with an operation. Nothing is begun while another operation runs, which may have stopped it: `look` follows its end.
 */
export class FailoverWatch {
  readonly #options: FailoverWatchOptions
  readonly #confirming = new Set<number>()
  #isClosed = false

  constructor(options: FailoverWatchOptions) {
    this.#options = options
  }

  look(): void {
    const { settings, operations, topology, isOurs } = this.#options
    if (this.#isClosed || settings().mode !== 'local' || operations.isBusy) return
    for (const shard of lostPrimaries(topology(), isOurs)) {
      if (!this.#confirming.has(shard.id)) void this.#confirm(shard)
    }
  }

  close(): void {
    this.#isClosed = true
  }

  async #confirm(shard: Shard): Promise<void> {
    const { settings, pause } = this.#options
    this.#confirming.add(shard.id)
    try {
      this.#publish('warn', shard, `${shard.name}, the primary of ${shard.group}, seems lost`)
      let told = ''
      for (;;) {
        const other = await this.#decide(shard)
        if (other === null) return
        if (other !== told) this.#publish('warn', shard, `another router decides about ${shard.group}`, other)
        told = other
        await pause(settings().pauseMs * PATIENCE)
      }
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      this.#publish('error', shard, `no other primary for ${shard.group} yet`, reason)
      // Looked at again with the next topology, but not at once.
      await pause(settings().pauseMs * PATIENCE)
    } finally {
      this.#confirming.delete(shard.id)
    }
  }

  /** Null: there is nothing more to be decided. Otherwise who decides at the moment. */
  async #decide(shard: Shard): Promise<string | null> {
    const { settings, topology, operations, claim, knock, pause, onAlive } = this.#options
    const group = topology().shards.filter((other) => other.group === shard.group)
    const claimed = await claim(group.map(({ name }) => name))
    if (typeof claimed === 'string') return this.#isStillLost(shard) ? claimed : null
    try {
      // Also because whoever had the claim before may have done something about it.
      if (!(await isGone(settings(), () => knock(shard), pause))) {
        this.#publish('info', shard, `${shard.name} is not lost`, 'it answers')
        onAlive(shard)
        return null
      }
      // Somebody else may have promoted a replica meanwhile: the others have to follow that one, and the lost one as well.
      if (operations.isBusy || this.#isClosed || !this.#isDown(shard)) return null
      await operations.run({ kind: 'failover', group: shard.group, lost: shard.name })
      return null
    } finally {
      await claimed.release()
    }
  }

  #isStillLost({ id }: Shard): boolean {
    const { topology, isOurs } = this.#options
    return !this.#isClosed && lostPrimaries(topology(), isOurs).some((lost) => lost.id === id)
  }

  #isDown({ id }: Shard): boolean {
    return this.#options.topology().shards.some((shard) => shard.id === id && !shard.up)
  }

  #publish(level: EventLevel, { name, group }: Shard, what: string, reason = ''): void {
    this.#options.events.publish({ kind: 'failover', level, shard: name, what, reason, fields: { group } })
  }
}
