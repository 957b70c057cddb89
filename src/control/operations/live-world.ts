import { RouterError } from '../../errors.ts'
import type { Shard, Topology } from '../../shard/topology.ts'
import type { Monitor } from '../monitor/monitor.ts'
import type { PlaneLink } from '../plane-link/plane-link.ts'
import type { ShardDriver } from '../scaling/drivers/shard-driver.ts'
import type { ScaleWorld } from '../scaling/scale-world.ts'
import type { OperationWorld } from './operation.ts'

/** What operations act through in a router that runs; `drainMs`: how long transactions have to end. */
export interface LiveWorldOptions {
  readonly monitor: Monitor
  readonly link: PlaneLink
  readonly drivers: () => readonly ShardDriver[]
  readonly drainMs: () => number
  readonly scale: ScaleWorld
  /** Monotonic milliseconds. */
  readonly now: () => number
}

/** What the world tells of one operation. */
export interface OperationHooks {
  readonly finished: readonly string[]
  readonly onFinished: (shard: string) => void
  readonly onDrained: (shard: Pick<Shard, 'name'>, drained: boolean) => void
  readonly onSay: (message: string) => void
  /** Aborted when the operation has to make way. */
  readonly signal: AbortSignal
}

/** A plane that went away in the middle of a hold has a successor soon. */
const HOLD_ATTEMPTS = 3

/** The router and its shards, for one operation: what it holds ends with `close` at the latest. */
export class LiveWorld implements OperationWorld {
  readonly #options: LiveWorldOptions
  readonly #hooks: OperationHooks
  readonly #held = new Map<number, Shard>()
  #heldAt = 0
  #heldMs = 0

  constructor(options: LiveWorldOptions, hooks: OperationHooks) {
    this.#options = options
    this.#hooks = hooks
  }

  /** For how long requests had no place to go, in milliseconds. */
  get heldMs(): number {
    return this.#heldAt === 0 ? this.#heldMs : this.#heldMs + this.#options.now() - this.#heldAt
  }

  get scale(): ScaleWorld {
    return this.#options.scale
  }

  get signal(): AbortSignal {
    return this.#hooks.signal
  }

  get finished(): readonly string[] {
    return this.#hooks.finished
  }

  finish(shard: string): void {
    this.#hooks.onFinished(shard)
  }

  topology(): Topology {
    return this.#options.monitor.topology
  }

  driver(shard: Shard): ShardDriver {
    const driver = this.#options.drivers().find((each) => each.manages(shard.name))
    if (driver !== undefined) return driver
    throw new RouterError('0A000', `Switchyard does not manage the server of ${shard.name}.`, {
      origin: 'client',
      hint: 'Give the shard a data_directory, or name a program in operations.hook (docs/continuity.md).',
    })
  }

  hold(shard: Shard, patienceMs: number = this.#options.drainMs()): Promise<void> {
    return this.#hold(shard, patienceMs)
  }

  cut(shard: Shard): Promise<void> {
    return this.#hold(shard, 0)
  }

  async #hold(shard: Shard, deadlineMs: number): Promise<void> {
    const { link, now } = this.#options
    if (shard.role === 'primary' && this.#heldAt === 0) this.#heldAt = now()
    this.#held.set(shard.id, shard)
    link.holds.hold(shard.id, deadlineMs)
    for (let attempt = 1; ; attempt++) {
      try {
        await link.askAll({ op: 'hold', shard: shard.id, deadlineMs })
        return
      } catch (error) {
        // Without planes there is nobody to be held; the next one is told when it comes.
        if (attempt === HOLD_ATTEMPTS || !(error instanceof RouterError) || error.sqlstate === '57P03') return
      }
    }
  }

  async release(shard: Shard): Promise<void> {
    if (this.#options.monitor.isDrained(shard.name)) return
    this.#held.delete(shard.id)
    const { link } = this.#options
    link.holds.release(shard.id)
    // A plane that is not there holds nothing.
    await link.askAll({ op: 'release', shard: shard.id }).catch(() => undefined)
  }

  /** Ends every hold that is left, but those of drained shards. */
  async close(): Promise<void> {
    this.goesOn()
    for (const shard of [...this.#held.values()]) await this.release(shard)
  }

  goesOn(): void {
    this.#heldMs = this.heldMs
    this.#heldAt = 0
  }

  probe(shard: Shard): void {
    this.#options.monitor.doubt(shard.id, 'an operation was at work on it')
  }

  knowPrimary(shard: Shard): void {
    this.#options.monitor.knowRole(shard.id, 'primary')
  }

  async until(what: string, isSo: (topology: Topology) => boolean, timeoutMs: number): Promise<void> {
    if (await this.#options.monitor.until((topology) => isSo(topology), timeoutMs)) return
    throw new RouterError('58000', `Waited for ${what} for ${Math.round(timeoutMs / 1000)} s in vain.`, {
      origin: 'router',
    })
  }

  async untilUp(shard: Shard, timeoutMs: number): Promise<void> {
    const { monitor } = this.#options
    if (await monitor.until(() => monitor.answers(shard.id), timeoutMs)) return
    throw new RouterError('58000', `${shard.name} did not answer within ${Math.round(timeoutMs / 1000)} s.`, {
      origin: 'router',
    })
  }

  setDrained(shard: Pick<Shard, 'name'>, drained: boolean): void {
    this.#options.monitor.setDrained(shard.name, drained)
    this.#hooks.onDrained(shard, drained)
  }

  say(message: string): void {
    this.#hooks.onSay(message)
  }
}
