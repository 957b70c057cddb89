import { describeConfig } from '../config/describe-config.ts'
import { diffConfig } from '../config/diff-config.ts'
import type { Config } from '../config/schema.ts'
import { RouterError } from '../errors.ts'
import type { Logger } from '../log.ts'
import { CLIENT, readClient } from '../memory/client-slots.ts'
import type { DrainPatience } from '../memory/control-protocol.ts'
import type { StopMode } from '../memory/keeper-control-protocol.ts'
import type { SharedState } from '../memory/shared-state.ts'
import type { PlaneValues } from '../shard/plane-values.ts'
import type { Topology } from '../shard/topology.ts'
import type { AccountFinder } from './account-finder.ts'
import type { CatalogueFinder } from './catalogue/catalogue-finder.ts'
import type { Continuity } from './continuity.ts'
import type { EventLog } from './events/event-log.ts'
import { keepRestartSettings } from './keep-restart-settings.ts'
import type { AnalyzerState, Learning } from './learning/learning.ts'
import type { Monitor, ShardReport } from './monitor/monitor.ts'
import { topologyTroubles } from './monitor/topology-troubles.ts'
import type { WalWatch } from './monitor/wal-watch.ts'
import type { OperationRecord, OperationRequest } from './operations/operation.ts'
import type { PlaneLink } from './plane-link/plane-link.ts'
import { compilePlaneValues } from './policy/plane-values.ts'
import type { VerifierCache } from './policy/verifier-cache.ts'
import type { PreservationLedger } from './preservation-ledger.ts'
import type { AddedShards } from './scaling/added-shards.ts'
import type { ScalingState } from './scaling/scaler.ts'
import type { UpgradeLine } from './upgrade-line.ts'

/** The parts that console and HTTP see and command. */
export interface RouterOptions {
  readonly version: string
  /** Monotonic milliseconds. */
  readonly startedAt: number
  readonly now: () => number
  readonly memory: SharedState
  readonly config: Config
  /** Reads the configuration again; throws ConfigError. */
  readonly readConfig: () => Config
  readonly consoleSocket: string
  readonly verifiers: VerifierCache
  readonly mockSecret: string
  readonly firstValuesVersion: number
  readonly link: PlaneLink
  readonly monitor: Monitor
  readonly walWatch: WalWatch
  readonly accounts: AccountFinder
  readonly catalogues: CatalogueFinder
  readonly continuity: Continuity
  readonly added: AddedShards
  readonly onLogLevel: (level: string) => void
  readonly requestStop: (mode: StopMode, reason: string) => void
  readonly upgrades: UpgradeLine
  readonly preservation: PreservationLedger
  readonly learning: Learning
  readonly events: EventLog
  readonly log: Logger
}

/** The router as control sees and steers it: what administration is given, and what the keeper's orders act on. */
export class Router {
  readonly version: string
  readonly startedAt: number
  readonly memory: SharedState
  readonly #options: RouterOptions
  /** As the operator wrote it. */
  #written: Config
  /** With the shards that were added. */
  #config: Config
  #values: PlaneValues

  constructor(options: RouterOptions) {
    this.#options = options
    this.version = options.version
    this.startedAt = options.startedAt
    this.memory = options.memory
    this.#written = options.config
    this.#config = options.continuity.withAdded(options.config)
    this.#values = this.#compile(this.#config, options.firstValuesVersion)
  }

  /**
   * Puts the configuration it was made with into effect. Planes hear of it when all shards have been probed, or after
   * `patienceMs`: those that have served for long would otherwise be told that nothing is known of any shard.
   * `paused`: databases that were before.
   */
  async start(paused: Iterable<string | null>, patienceMs: number): Promise<void> {
    const { link, monitor } = this.#options
    for (const database of paused) link.pauses.hold('pause', database)
    monitor.apply(this.#config)
    await monitor.firstProbes(patienceMs)
    await this.#apply(this.#config, this.#values.version)
    this.#options.continuity.begin(() => this.#useMembers())
  }

  get config(): Config {
    return this.#config
  }

  nowMonotonic(): number {
    return this.#options.now()
  }

  values(): PlaneValues {
    return this.#values
  }

  topology(): Topology {
    return this.#options.monitor.topology
  }

  health(): readonly ShardReport[] {
    return this.#options.monitor.reports()
  }

  settings() {
    return describeConfig(this.#config).map((row) => ({ ...row, changeable: row.changeable === 'yes' }))
  }

  pauses() {
    const { all, databases } = this.#options.link.pauses
    return { all, databases }
  }

  analyzer(): AnalyzerState {
    const { learning } = this.#options
    return { model: learning.model, drift: learning.drift.report() }
  }

  events(): EventLog {
    return this.#options.events
  }

  troubles(): readonly string[] {
    return [...this.#options.link.troubles(), ...topologyTroubles(this.topology())]
  }

  preservation() {
    return this.#options.preservation.entries
  }

  upgradeStatus(): string {
    return this.#options.upgrades.status
  }

  upgrade(program: string | null): Promise<string> {
    return this.#options.upgrades.begin(program)
  }

  async pause(database: string | null): Promise<void> {
    const { link } = this.#options
    link.requirePlanes()
    link.pauses.hold('pause', database)
    await link.askAll({ op: 'pause', database })
  }

  async resume(database: string | null): Promise<void> {
    const { link } = this.#options
    link.pauses.resume(database)
    await link.askAll({ op: 'resume', database })
  }

  async reconnect(database: string | null): Promise<void> {
    await this.#options.link.askAll({ op: 'reconnect', database })
  }

  async kill(database: string | null): Promise<void> {
    const { link } = this.#options
    link.requirePlanes()
    link.pauses.hold('kill', database)
    await link.askAll({ op: 'kill', database })
  }

  async killClient(slot: number, generation: number): Promise<void> {
    const client = readClient(this.memory.clients, slot)
    const at = slot * (this.memory.clients.recordBytes >> 2) + CLIENT.generation
    if (client === null || (this.memory.clients.i32[at] ?? 0) >>> 0 !== generation) {
      throw new RouterError('22023', 'That client is not connected any more.', { origin: 'client' })
    }
    await this.#options.link.ask(client.plane, { op: 'kill-client', client: slot, generation })
  }

  /** Carries out an operation on shards; what it rejects with: see `Operations.run`. */
  async operate(request: OperationRequest): Promise<OperationRecord> {
    return await this.#options.continuity.operations.run(request)
  }

  /** What an operation would do, in words. */
  async planOperation(request: OperationRequest): Promise<readonly string[]> {
    return await this.#options.continuity.operations.plan(request)
  }

  operations(): readonly OperationRecord[] {
    return this.#options.continuity.operations.records
  }

  scaling(): ScalingState {
    return {
      mode: this.#config.scaling.mode,
      added: this.#options.added.all,
      reports: this.#options.continuity.scaling,
    }
  }

  /** Reads the configuration again and applies what can change while running. Throws ConfigError and changes nothing. */
  async reload(): Promise<{ readonly applied: readonly string[]; readonly needsRestart: readonly string[] }> {
    const { readConfig, events, learning } = this.#options
    learning.look()
    const after = readConfig()
    const diff = diffConfig(this.#written, after)
    const next = keepRestartSettings(this.#written, after)
    this.#options.continuity.apply(this.#options.continuity.withAdded(next))
    this.#written = next
    await this.#useMembers()
    const reason = diff.applied.length === 0 ? 'nothing to apply' : diff.applied.join(', ')
    events.publish({ kind: 'configuration', what: 'reloaded', reason })
    if (diff.needsRestart.length > 0) {
      const waiting = diff.needsRestart.join(', ')
      events.publish({ kind: 'configuration', level: 'warn', what: 'these wait for a restart', reason: waiting })
    }
    return diff
  }

  /** There may be another number of shards, or another configuration. */
  async #useMembers(): Promise<void> {
    this.#config = this.#options.continuity.withAdded(this.#written)
    await this.#apply(this.#config, this.#values.version + 1)
  }

  /**
   * Refuses new clients, and lets the others finish their transactions, or stay for as long as they like. `deadlineMs` null:
   * as long as they take. Settles when all are gone.
   */
  async drain(awaited: DrainPatience, deadlineMs: number | null): Promise<void> {
    await this.#options.link.drainAll(awaited, deadlineMs, this.#options.now)
  }

  /** Returns at once and begins on a later turn of the event loop, so that the answer to the console can leave first. */
  shutdown(mode: StopMode): void {
    setImmediate(() => this.#options.requestStop(mode, 'SHUTDOWN at the console'))
  }

  async #apply(config: Config, version: number): Promise<void> {
    const { monitor, link, accounts, catalogues, continuity, onLogLevel } = this.#options
    continuity.apply(config)
    onLogLevel(config.log.level)
    // First, so that the values that planes get name the shards that they mention.
    monitor.apply(config)
    this.#values = this.#compile(config, version)
    link.publishValues(this.#values)
    catalogues.configure(config)
    this.#options.walWatch.watch(config.routing.reads === 'replicas' ? monitor.positions() : [])
    await accounts.configure(config)
  }

  #compile(config: Config, version: number): PlaneValues {
    const { memory, consoleSocket, verifiers, mockSecret, monitor } = this.#options
    // The memory was laid out for so many when the router started.
    const maxClients = Math.min(config.limits.maxClients, memory.geometry.ordinaryClientSlots)
    const clamped = { ...config, limits: { ...config.limits, maxClients } }
    return compilePlaneValues(clamped, monitor.topology, { version, consoleSocket, verifiers, mockSecret })
  }
}
