import type { Config, ShardConfig } from '../../config/schema.ts'
import type { ShardAdjustment } from '../../shard/shard-adjustment.ts'
import type { Shard, ShardHealth, Topology } from '../../shard/topology.ts'
import type { EventSink } from '../events/event-log.ts'
import { serverTlsValue } from '../shard-tls.ts'
import { type Health, isUsable } from './health-state.ts'
import type { LoadRates } from './load-rates.ts'
import type { LoadSample } from './load-sample.ts'
import { newTimelines, type ReplacedPrimaries, replacedPrimaries } from './replaced-primaries.ts'
import type { Resolve } from './shard-addresses.ts'
import type { ShardIds } from './shard-ids.ts'
import type { ShardQuestion } from './shard-probe.ts'
import { ShardWatch, type ShardWatchOptions } from './shard-watch.ts'
import type { PlaneSight } from './strain.ts'
import type { TimelineLedger } from './timeline-ledger.ts'
import type { PositionSource } from './wal-watch.ts'

/** What the monitor knows from before, and who is told of what it finds. */
export interface MonitorOptions {
  readonly ids: ShardIds
  readonly timelines: TimelineLedger
  readonly resolve: Resolve
  /** The version of the first topology. */
  readonly firstVersion: number
  readonly onTopology: (topology: Topology) => void
  /** What planes see of a shard at this moment; null: nothing. */
  readonly sight: (shard: number) => PlaneSight | null
  readonly events: EventSink
  /** Monotonic milliseconds. */
  readonly now: () => number
}

/** What the monitor knows of a shard, for people. */
export interface ShardReport {
  readonly shard: number
  readonly health: ShardHealth
  readonly reason: string
  /** Monotonic milliseconds at which this health began. */
  readonly since: number
  readonly load: LoadSample | null
  readonly rates: LoadRates | null
  /** Monotonic milliseconds; 0 = never. */
  readonly probedAt: number
}

interface Watched {
  readonly id: number
  readonly config: ShardConfig
  /** What the watch was made from: another one is made when it differs. */
  readonly key: string
  readonly watch: ShardWatch
}

/** Watches all shards and publishes what is known of them, as a new topology whenever that changes. */
export class Monitor {
  readonly #options: MonitorOptions
  readonly #running = new Set<Promise<void>>()
  #watched: readonly Watched[] = []
  #topology: Topology
  /** Since when, by name. */
  readonly #drained = new Map<string, number>()
  #adjustments: ReadonlyMap<number, ShardAdjustment> = new Map()
  #replaced: ReplacedPrimaries = new Map()
  /** Called for everything that is found, whether or not it changes the topology. */
  readonly #listeners = new Set<() => void>()

  constructor(options: MonitorOptions) {
    this.#options = options
    this.#topology = Object.freeze({ version: options.firstVersion, shards: [] })
  }

  get topology(): Topology {
    return this.#topology
  }

  /** Watches the shards of `config` from now on; those that it does not change are not disturbed. */
  apply({ shards, monitor, serverTls }: Config): void {
    this.#options.timelines.read()
    const { user, password, database, timeoutMs, intervalMs, loadIntervalMs } = monitor
    const settings = { user, password, database, timeoutMs, tls: serverTlsValue(serverTls) }
    const before = new Map(this.#watched.map((each) => [each.key, each]))
    const previous = new Map(this.#watched.map((each) => [place(each.config), each]))
    this.#watched = shards.map((config) => {
      const shard = { name: config.name, host: config.host, port: config.port }
      const key = JSON.stringify([shard, settings, intervalMs, loadIntervalMs])
      const kept = before.get(key)
      before.delete(key)
      const predecessor = previous.get(place(config))?.watch ?? null
      const id = this.#options.ids.idOf(config.name)
      const intervals = { intervalMs, loadIntervalMs }
      const watch = kept?.watch ?? this.#start(id, { shard, settings, ...intervals, predecessor })
      return { id, config, key, watch }
    })
    for (const { watch } of before.values()) watch.close()
    this.#publish()
  }

  /** The watched shards, to be asked where their logs are. */
  positions(): readonly PositionSource[] {
    return this.#watched.map(({ id, config, watch }) => {
      return { id, group: config.group, position: (timeoutMs) => watch.position(timeoutMs) }
    })
  }

  /** Asks a shard over the monitor's connection; null: it is not known, or does not answer in time. */
  async rows<Row extends object>(
    shard: number,
    question: ShardQuestion,
    timeoutMs: number,
  ): Promise<readonly Row[] | null> {
    const found = this.#watched.find(({ id }) => id === shard)
    return found === undefined ? null : await found.watch.rows(question, timeoutMs)
  }

  /** Settles when every shard has been probed once, or after `patienceMs`. */
  async firstProbes(patienceMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const enough = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, patienceMs)
    })
    await Promise.race([Promise.all(this.#watched.map(({ watch }) => watch.firstProbe)), enough])
    clearTimeout(timer)
  }

  /** A plane had trouble with this shard. */
  doubt(shard: number, reason: string): void {
    this.#watched.find(({ id }) => id === shard)?.watch.doubt(reason)
  }

  /** The shard has said in another way what it is: planes hear of it without waiting for a probe. */
  knowRole(shard: number, role: 'primary' | 'replica'): void {
    this.#watched.find(({ id }) => id === shard)?.watch.knowRole(role)
  }

  /** Whether its last probe was answered, drained or not. */
  answers(shard: number): boolean {
    const found = this.#watched.find(({ id }) => id === shard)
    return found !== undefined && /^(up|overloaded)$/.test(found.watch.health.state)
  }

  /** A drained replica counts as down, so that nothing is sent there; a primary never does. */
  setDrained(name: string, drained: boolean): void {
    if (drained) this.#drained.set(name, this.#options.now())
    else this.#drained.delete(name)
    this.#publish()
  }

  /** What tiers get less of, by shard id; planes hear of it with the topology. */
  setAdjustments(adjustments: ReadonlyMap<number, ShardAdjustment>): void {
    this.#adjustments = adjustments
    this.#publish()
  }

  isDrained(name: string): boolean {
    return this.#drained.has(name)
  }

  /** Settles with true when something is so, looked at whenever a probe has found anything; false after `timeoutMs`. */
  async until(isSo: (topology: Topology) => boolean, timeoutMs: number): Promise<boolean> {
    if (isSo(this.#topology)) return true
    return await new Promise((resolve) => {
      const end = (result: boolean): void => {
        clearTimeout(timer)
        this.#listeners.delete(look)
        resolve(result)
      }
      const timer = setTimeout(() => end(false), timeoutMs)
      const look = (): void => {
        if (isSo(this.#topology)) end(true)
      }
      this.#listeners.add(look)
    })
  }

  reports(): readonly ShardReport[] {
    return this.#watched.map(({ id, config, watch }) => {
      const { health, load, probedAt } = watch
      const replaced = this.#replaced.get(id)
      const rest = { load: load.sample, rates: load.rates, probedAt }
      if (replaced !== undefined) {
        return { shard: id, health: REPLACED.health, reason: replaced, since: health.since, ...rest }
      }
      const shown = shownHealth(health, this.#isLeftOut(config.name, watch))
      const { reason, since } =
        shown === 'draining' ? { reason: DRAINED, since: this.#drained.get(config.name) ?? health.since } : health
      return { shard: id, health: shown, reason, since, ...rest }
    })
  }

  /** Whether the router's own connections to this shard use TLS. */
  usesTls(shard: number): boolean {
    return this.#watched.find(({ id }) => id === shard)?.watch.usesTls === true
  }

  /** Settles when no probe runs any more. */
  async close(): Promise<void> {
    for (const { watch } of this.#watched) watch.close()
    await Promise.all(this.#running)
  }

  #start(id: number, what: Omit<ShardWatchOptions, 'resolve' | 'events' | 'now' | 'sight' | 'onChange'>): ShardWatch {
    const { resolve, events, now, sight } = this.#options
    const onChange = (): void => this.#publish()
    const watch = new ShardWatch({ ...what, resolve, events, now, sight: () => sight(id), onChange })
    const run = watch.run().finally(() => this.#running.delete(run))
    this.#running.add(run)
    return watch
  }

  #isLeftOut(name: string, { role }: ShardWatch): boolean {
    return role !== 'primary' && this.#drained.has(name)
  }

  /** Primaries that are none any more, and tells of those that are new. */
  #findReplaced(): void {
    const { timelines, events } = this.#options
    const before = this.#replaced
    const sights = this.#watched.map(({ id, config: { name, group }, watch }) => {
      const identity = watch.observation?.identity ?? null
      const { timeline } = watch
      return {
        id,
        name,
        group,
        timeline,
        reached: timeline ?? identity?.timeline ?? null,
        system: identity?.system ?? null,
      }
    })
    // A replica has come that far as well.
    const reached = sights.map((sight) => ({ ...sight, timeline: sight.reached }))
    for (const [group, seen] of newTimelines(reached, timelines.seen)) timelines.note(group, seen)
    const found = replacedPrimaries(sights, timelines.seen)
    // One that is down is usually about to become a replica.
    const running = this.#watched.filter(({ id, watch }) => found.has(id) && isUsable(watch.health))
    this.#replaced = new Map(running.map(({ id }) => [id, found.get(id) as string]))
    for (const { id, config } of running) {
      const { name, group } = config
      const reason = this.#replaced.get(id)
      if (reason === undefined || before.has(id)) continue
      const what = `nothing is sent to ${name}, which takes itself for the primary of ${group}`
      events.publish({ kind: 'role', level: 'error', shard: name, what, reason })
    }
  }

  #publish(): void {
    this.#findReplaced()
    const shards = this.#watched.map((watched) => {
      const isLeftOut = this.#isLeftOut(watched.config.name, watched.watch)
      const shard = describe(watched, isLeftOut, this.#adjustments.get(watched.id) ?? null)
      return this.#replaced.has(watched.id) ? Object.freeze({ ...shard, ...REPLACED }) : shard
    })
    if (JSON.stringify(shards) !== JSON.stringify(this.#topology.shards)) {
      const version = this.#topology.version + 1
      this.#topology = Object.freeze({ version, shards: Object.freeze(shards) })
      this.#options.onTopology(this.#topology)
    }
    for (const look of [...this.#listeners]) look()
  }
}

/** Where a shard is: while that is the same, so is the shard. */
function place({ name, host, port }: ShardConfig): string {
  return JSON.stringify([name, host, port])
}

/** It may think what it likes. */
const REPLACED = { role: 'unknown', up: false, health: 'down' } as const
const DRAINED = 'drained by an operator (UNDRAIN ends it)'

/** A drained shard that is down is down all the same. */
function shownHealth(health: Health, isLeftOut: boolean): ShardHealth {
  return isLeftOut && (isUsable(health) || health.state === 'starting') ? 'draining' : health.state
}

function describe({ id, config, watch }: Watched, isLeftOut: boolean, adjustment: ShardAdjustment | null): Shard {
  return Object.freeze({
    id,
    name: config.name,
    group: config.group,
    host: config.host,
    address: watch.address,
    port: config.port,
    role: watch.role,
    up: isUsable(watch.health) && !isLeftOut,
    health: shownHealth(watch.health, isLeftOut),
    maxConnections: config.maxConnections,
    slots: config.slots,
    zone: config.zone,
    dataDirectory: config.dataDirectory,
    adjustment,
  })
}
