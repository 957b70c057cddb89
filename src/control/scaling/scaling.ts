import { setTimeout as delay } from 'node:timers/promises'
import type { Environment } from '../../config/environment.ts'
import type { Config } from '../../config/schema.ts'
import { RouterError } from '../../errors.ts'
import type { Shard, Topology } from '../../shard/topology.ts'
import type { EventSink } from '../events/event-log.ts'
import { groupNamed, notNow, primaryOf } from '../operations/members.ts'
import { type AddedShard, nextName } from './added-shard.ts'
import type { AddedShards } from './added-shards.ts'
import { judgeCatchUp } from './catching-up.ts'
import type { ScaleDriver, ScaleOrder } from './drivers/scale-driver.ts'
import { scaleDriver } from './drivers/scale-drivers.ts'
import { uselessness } from './scale-units.ts'
import type { ScaleChoice, ScaleWorld } from './scale-world.ts'
import { askServer } from './server-answer.ts'

/** What adding and removing shards looks at, and who is told of it. */
export interface ScalingOptions {
  readonly added: AddedShards
  readonly topology: () => Topology
  readonly config: () => Config
  /** The shards that are given to planes have changed; settles when planes have been told. */
  readonly onMembers: () => Promise<void>
  /** A shard serves, or is on its way out. */
  readonly onChange: (change: 'out' | 'in', shard: AddedShard) => void
  /** Transactions on a shard at the moment. */
  readonly busyOn: (shard: Shard) => number
  readonly environment: Environment
  readonly dataDirectory: string
  /** Milliseconds since 1970. */
  readonly wallClock: () => number
  readonly events: EventSink
  readonly onProgress: (message: string) => void
}

const POLL_MS = 100

/** What operations do to added shards: the record, the driver, and what planes are told. */
export class Scaling implements ScaleWorld {
  readonly #options: ScalingOptions

  constructor(options: ScalingOptions) {
    this.#options = options
  }

  get drainMs(): number {
    return this.#options.config().scaling.drainMs
  }

  get(name: string): AddedShard | null {
    return this.#options.added.get(name)
  }

  choose(target: string): ScaleChoice {
    const config = this.#options.config()
    const topology = this.#options.topology()
    const named = config.shardPools.find(({ name, shards }) => name === target && shards.length > 0)
    const pool = named?.name ?? null
    if (named?.role === 'primary') throw notNow(`Pool ${target} is of primaries, and a new shard is a replica.`)
    const first = topology.shards.find(({ name }) => named?.shards.includes(name))
    const group = named === undefined ? target : (first?.group ?? target)
    const primary = primaryOf(topology, group)
    const members = groupNamed(topology, group)
    const unit = named === undefined ? members : members.filter(({ name }) => named.shards.includes(name))
    const { maxShards } = config.scaling
    if (unit.length >= maxShards) {
      throw notNow(`${target} has ${unit.length} shards, and may have ${maxShards} (scaling.max_shards).`)
    }
    const driver = this.#driver(config.scaling.driver)
    if (driver.kind === 'local' && dataDirectoryOf(config, primary.name) === null) {
      throw new RouterError(
        '0A000',
        `Nobody can make a server for group ${group}: ${primary.name} has no data_directory.`,
        {
          origin: 'client',
          hint: 'Name a program in scaling.program, and set scaling.driver = "exec" (docs/scaling.md).',
        },
      )
    }
    const taken = [...config.shards, ...topology.shards, ...this.#options.added.all].map(({ name }) => name)
    return { group, pool, shard: nextName(primary.name, new Set(taken)) }
  }

  leastNeeded(): string | null {
    const { added, topology, busyOn } = this.#options
    let least: { readonly name: string; readonly busy: number } | null = null
    for (const { name, state } of added.all) {
      const shard = topology().shards.find((each) => each.name === name)
      if (shard?.role === 'primary' || state === 'creating') continue
      const busy = shard === undefined ? 0 : busyOn(shard)
      if (least === null || busy <= least.busy) least = { name, busy }
    }
    return least?.name ?? null
  }

  uselessness({ pool }: ScaleChoice): string | null {
    return uselessness(this.#options.config(), pool)
  }

  begin({ group, pool, shard: name }: ScaleChoice): void {
    const { added, config, topology, wallClock } = this.#options
    if (added.get(name) !== null) return
    const primary = primaryOf(topology(), group)
    const { maxConnections, slots, zone } = primary
    const begunAt = wallClock()
    const facts = { place: null, servingAt: 0, begunAt, operation: `${name}-${begunAt}` }
    const { driver } = config().scaling
    added.put({ name, group, pool, driver, state: 'creating', maxConnections, slots, zone, ...facts })
  }

  async create(name: string, signal: AbortSignal): Promise<void> {
    const shard = this.#shard(name)
    const place = await this.#driver(shard.driver).create(this.#order(shard), signal)
    signal.throwIfAborted()
    this.#options.added.place(name, place)
  }

  async caughtUp(name: string, signal: AbortSignal): Promise<void> {
    const { config, topology } = this.#options
    const { group, place } = this.#shard(name)
    if (place === null) throw new Error(`nobody knows where ${name} is`)
    const { lagBytes, readyTimeoutMs } = config().scaling
    const deadline = performance.now() + readyTimeoutMs
    for (;;) {
      const primary = primaryOf(topology(), group)
      let reason: string
      try {
        const [newcomer, old] = await Promise.all([askServer(place, config()), askServer(primary, config())])
        const verdict = judgeCatchUp(newcomer, old, lagBytes)
        if (verdict.kind === 'ready') return
        reason = verdict.reason
        if (verdict.kind === 'refused') throw failure(`${name} cannot be a shard of group ${group}: ${reason}.`)
      } catch (error) {
        if (error instanceof RouterError) throw error
        reason = `it does not answer: ${error instanceof Error ? error.message : String(error)}`
      }
      if (performance.now() > deadline) throw failure(`${name} has not caught up in time: ${reason}.`)
      await delay(POLL_MS, undefined, { signal })
    }
  }

  async serve(name: string): Promise<void> {
    const { added, wallClock, onMembers, onChange } = this.#options
    const isNew = this.#shard(name).state !== 'serving'
    if (isNew) {
      added.put({ ...added.move(name, 'serving'), servingAt: wallClock() })
      added.noteReady(wallClock() - this.#shard(name).begunAt)
    }
    await onMembers()
    if (isNew) onChange('out', this.#shard(name))
  }

  async leave(name: string): Promise<void> {
    const { added, onMembers, onChange } = this.#options
    const before = this.#shard(name).state
    added.move(name, 'leaving')
    if (before !== 'serving') return
    await onMembers()
    onChange('in', this.#shard(name))
  }

  async destroy(name: string): Promise<void> {
    const { added, wallClock } = this.#options
    const shard = added.get(name)
    if (shard === null) return
    await this.#driver(shard.driver).destroy(this.#order(shard))
    added.forget(name, wallClock())
  }

  #shard(name: string): AddedShard {
    const shard = this.#options.added.get(name)
    if (shard !== null) return shard
    throw notNow(`${name} is not a shard that was added.`)
  }

  #driver(kind: AddedShard['driver']): ScaleDriver {
    const { config, environment, dataDirectory, onProgress } = this.#options
    return scaleDriver(kind, { config: config(), environment, dataDirectory, onProgress })
  }

  #order({ name, group, pool, operation, place }: AddedShard): ScaleOrder {
    const { config, topology } = this.#options
    const found = topology().shards.find((shard) => shard.group === group && shard.role === 'primary')
    const primary = found === undefined ? null : { name: found.name, host: found.host, port: found.port }
    const members = config().shards.filter((shard) => shard.group === group)
    return { name, group, pool, operation, place, members: members.map((shard) => shard.name), primary }
  }
}

function dataDirectoryOf({ shards }: Config, name: string): string | null {
  return shards.find((shard) => shard.name === name)?.dataDirectory ?? null
}

function failure(message: string): RouterError {
  return new RouterError('58000', message, { origin: 'router' })
}
