import { existsSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import type { Environment } from '../config/environment.ts'
import type { Config } from '../config/schema.ts'
import { reasonsText } from '../continuity/report.ts'
import type { Logger } from '../log.ts'
import type { SharedState } from '../memory/shared-state.ts'
import type { Shard } from '../shard/topology.ts'
import { Adjuster } from './adjust/adjuster.ts'
import { adjusterSettings } from './adjust/adjuster-settings.ts'
import type { EventSink } from './events/event-log.ts'
import { FailoverWatch } from './failover/failover-watch.ts'
import { knock } from './failover/primary-check.ts'
import { ReplicaWatch } from './failover/replica-watch.ts'
import type { Monitor } from './monitor/monitor.ts'
import { readStreamState, STREAM_QUESTION, type StreamRow, type StreamState } from './monitor/stream-state.ts'
import type { CensusResult } from './operations/client-census.ts'
import { OperationJournal } from './operations/operation-journal.ts'
import { Operations } from './operations/operations.ts'
import type { RecentLosses } from './operations/recent-losses.ts'
import { ShardDrivers } from './operations/shard-drivers.ts'
import type { PlaneLink } from './plane-link/plane-link.ts'
import { compilePolicy } from './policy/compile-policy.ts'
import type { PreservationLedger } from './preservation-ledger.ts'
import type { AddedShards } from './scaling/added-shards.ts'
import { busyOn } from './scaling/load-sampler.ts'
import { type ScaleReport, Scaler } from './scaling/scaler.ts'
import { Scaling } from './scaling/scaling.ts'
import { withAddedShards } from './scaling/with-added-shards.ts'

/** What operations and failover look at, and what they act through. */
export interface ContinuityOptions {
  readonly monitor: Monitor
  readonly link: PlaneLink
  readonly memory: SharedState
  readonly preservation: PreservationLedger
  /** Sampled while this is open. */
  readonly losses: RecentLosses
  readonly events: EventSink
  /** Shards that are in no configuration. */
  readonly added: AddedShards
  readonly dataDirectory: string
  readonly environment: Environment
  /** Monotonic milliseconds. */
  readonly now: () => number
  readonly wallClock: () => number
  readonly log: Logger
}

/** A server that lives answers a knock in this time. */
const KNOCK_MS = 1_000

const SAMPLE_MS = 1_000
const ASK_MS = 1_000

/** What is done to shards, planned or not: operations, the watch for lost primaries, their number, and who may use them. */
export class Continuity {
  readonly operations: Operations
  readonly #drivers: ShardDrivers
  readonly #watch: FailoverWatch
  readonly #replicas: ReplicaWatch
  readonly #scaler: Scaler
  readonly #adjuster: Adjuster
  readonly #options: ContinuityOptions
  readonly #sampling: NodeJS.Timeout
  #config: Config
  #onMembers: () => Promise<void> = async () => {}

  constructor(options: ContinuityOptions, config: Config) {
    const { monitor, log } = options
    this.#options = options
    this.#config = config
    this.#sampling = setInterval(() => options.losses.sample(), SAMPLE_MS)
    this.#drivers = new ShardDrivers(options.environment, (message) => log.info(message))
    this.operations = new Operations({
      monitor,
      link: options.link,
      drivers: () => this.#drivers.all,
      drainMs: () => this.#config.operations.drainMs,
      scale: this.#openScaling(),
      now: options.now,
      wallClock: options.wallClock,
      memory: options.memory,
      losses: options.losses,
      claim: (shards) => this.#drivers.claim(shards),
      onReport: (result) => this.#report(options, result),
      journal: new OperationJournal(options.dataDirectory, (reason) => log.warn(reason)),
      onEnded: () => this.#watch.look(),
      events: options.events,
      log,
    })
    const ours = this.#ours()
    this.#replicas = new ReplicaWatch({ ...ours, ask: ({ id }) => this.#streamOf(id), now: options.now })
    this.#watch = new FailoverWatch({
      ...ours,
      knock: ({ address, port }) => (address === null ? Promise.resolve(false) : knock(address, port, KNOCK_MS)),
      pause: (ms) => delay(ms),
      onAlive: ({ id }) => monitor.doubt(id, 'it seemed lost, and answers'),
    })
    this.#scaler = new Scaler({
      ...options,
      topology: () => monitor.topology,
      config: () => this.#config,
      isDrained: (shard) => monitor.isDrained(shard),
      appeals: () => this.#adjuster.appeals,
      isAtWork: () => this.operations.isAtWork,
      operate: (request) => this.operations.run(request),
    })
    this.#adjuster = new Adjuster({
      ...options,
      policy: () => compilePolicy(this.#config),
      settings: () => adjusterSettings(this.#config),
    })
  }

  /** What both watches over primaries and replicas are given. */
  #ours() {
    const { monitor, events } = this.#options
    return {
      settings: () => this.#config.failover,
      topology: () => monitor.topology,
      isOurs: ({ name }: Shard) => this.#drivers.manages(name),
      operations: this.operations,
      claim: (shards: readonly string[]) => this.#drivers.claim(shards),
      events,
    }
  }

  async #streamOf(shard: number): Promise<StreamState | null> {
    const question = { name: 'switchyard_stream', text: STREAM_QUESTION }
    const rows = await this.#options.monitor.rows<StreamRow>(shard, question, ASK_MS)
    return rows?.[0] === undefined ? null : readStreamState(rows[0])
  }

  #openScaling(): Scaling {
    const { monitor, memory, log } = this.#options
    return new Scaling({
      ...this.#options,
      topology: () => monitor.topology,
      config: () => this.#config,
      onMembers: () => this.#onMembers(),
      onChange: (change, shard) => this.#scaler.noteChange(change, shard),
      busyOn: ({ id }) => busyOn(memory, id),
      onProgress: (message) => log.info(message),
    })
  }

  #report({ preservation, log }: ContinuityOptions, { summary, batches }: CensusResult): void {
    preservation.add({ op: 'preserved', summary })
    const { plane, beganAt, event, kept, relocated = 0, dropped, stallMs } = summary
    for (const batch of batches) preservation.add({ op: 'preserved-clients', plane, beganAt, batch })
    const reasons = reasonsText(summary)
    const text = `${event}: ${kept} clients kept (${relocated} with their state moved), ${dropped} gone${reasons === '' ? '' : ` (${reasons})`}`
    log.info({ event, kept, relocated, dropped, stallMs }, `${text}; requests waited for up to ${stallMs} ms`)
  }

  /** A new configuration. Throws ConfigError, and changes nothing then. */
  apply(config: Config): void {
    this.#drivers.apply(config)
    this.#config = config
  }

  /** `config` with the shards that were added, as if it named them. */
  withAdded(config: Config): Config {
    const { added } = this.#options
    // Data that is gone is nobody's to manage; the shard is down then.
    const there = added.all.map((shard) => {
      const { place } = shard
      const isThere = place?.dataDirectory === null || place === null || existsSync(place.dataDirectory)
      return isThere ? shard : { ...shard, place: { ...place, dataDirectory: null } }
    })
    return withAddedShards(config, there)
  }

  /** What is thought of the number of shards. */
  get scaling(): readonly ScaleReport[] {
    return this.#scaler.reports
  }

  /** Something is known of the shards. `onMembers`: there is one more or one less; settles when planes know. */
  begin(onMembers: () => Promise<void>): void {
    this.#onMembers = onMembers
    this.operations.resume()
    void this.#startAdded()
    this.#scaler.start()
    this.#replicas.start()
    this.#adjuster.start()
    this.#watch.look()
  }

  /** Servers of ours do not come back by themselves when the machine does. */
  async #startAdded(): Promise<void> {
    const { added, events } = this.#options
    for (const { name, state } of added.all) {
      const driver = state === 'serving' ? this.#drivers.all.find((each) => each.manages(name)) : undefined
      if (driver === undefined || this.#config.shards.every((shard) => shard.name !== name)) continue
      try {
        if (driver.kind === 'local') await driver.start(name)
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error)
        events.publish({ kind: 'scaling', level: 'error', shard: name, what: `${name} does not start`, reason })
      }
    }
  }

  /** The topology has changed. */
  look(): void {
    this.#watch.look()
  }

  /** Begins nothing any more; settles when what runs has ended, or after `patienceMs`. */
  async close(patienceMs: number): Promise<void> {
    clearInterval(this.#sampling)
    this.#scaler.stop()
    this.#adjuster.stop()
    this.#watch.close()
    this.#replicas.close()
    await Promise.race([this.operations.idle(), delay(patienceMs, undefined, { ref: false })])
  }
}
