import type { Shard, Topology } from '../../shard/topology.ts'
import type { EventLevel, EventSink } from '../events/event-log.ts'
import type { Operations } from '../operations/operations.ts'
import { lostPrimaries } from './lost-primary.ts'
import { isGone } from './primary-check.ts'

export interface FailoverSettings {
  readonly mode: 'follow' | 'local'
  readonly refusals: number
  readonly pauseMs: number
}

export interface FailoverWatchOptions {
  readonly settings: () => FailoverSettings
  readonly topology: () => Topology
  /** Whether we may promote in its group. */
  readonly isOurs: (shard: Shard) => boolean
  readonly operations: Pick<Operations, 'isBusy' | 'run'>
  /** Whether a server answers there. */
  readonly knock: (shard: Shard) => Promise<boolean>
  readonly pause: (ms: number) => Promise<void>
  /** The shard is alive after all. */
  readonly onAlive: (shard: Shard) => void
  readonly events: EventSink
}

/**
 * Sees that a primary of ours is lost, makes sure of it, and has a replica take its place. There is one decider for a
 * cluster: whoever holds its lock.
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
    const { settings, operations, knock, pause, onAlive } = this.#options
    this.#confirming.add(shard.id)
    try {
      this.#publish('warn', shard, `${shard.name}, the primary of ${shard.group}, seems lost`)
      if (!(await isGone(settings(), () => knock(shard), pause))) {
        this.#publish('info', shard, `${shard.name} is not lost`, 'it answers')
        onAlive(shard)
        return
      }
      const isStillLost = lostPrimaries(this.#options.topology(), this.#options.isOurs).some(
        ({ id }) => id === shard.id,
      )
      if (this.#isClosed || operations.isBusy || !isStillLost) return
      await operations.run({ kind: 'failover', group: shard.group, lost: shard.name })
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      this.#publish('error', shard, `no other primary for ${shard.group} yet`, reason)
      // Looked at again with the next topology, but not at once.
      await pause(settings().pauseMs * 10)
    } finally {
      this.#confirming.delete(shard.id)
    }
  }

  #publish(level: EventLevel, { name, group }: Shard, what: string, reason = ''): void {
    this.#options.events.publish({ kind: 'failover', level, shard: name, what, reason, fields: { group } })
  }
}
