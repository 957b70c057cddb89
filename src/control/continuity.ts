import { setTimeout as delay } from 'node:timers/promises'
import type { Environment } from '../config/environment.ts'
import type { Config } from '../config/schema.ts'
import { reasonsText } from '../continuity/report.ts'
import type { Logger } from '../log.ts'
import type { SharedState } from '../memory/shared-state.ts'
import type { EventSink } from './events/event-log.ts'
import { FailoverWatch } from './failover/failover-watch.ts'
import { knock } from './failover/primary-check.ts'
import type { Monitor } from './monitor/monitor.ts'
import type { CensusResult } from './operations/client-census.ts'
import { OperationJournal } from './operations/operation-journal.ts'
import { Operations } from './operations/operations.ts'
import { ShardDrivers } from './operations/shard-drivers.ts'
import type { PlaneLink } from './plane-link/plane-link.ts'
import type { PreservationLedger } from './preservation-ledger.ts'

export interface ContinuityOptions {
  readonly monitor: Monitor
  readonly link: PlaneLink
  readonly memory: SharedState
  readonly preservation: PreservationLedger
  readonly events: EventSink
  readonly dataDirectory: string
  readonly environment: Environment
  /** Monotonic milliseconds. */
  readonly now: () => number
  readonly wallClock: () => number
  readonly log: Logger
}

/** A server that lives answers a knock in this time. */
const KNOCK_MS = 1_000

/** What is done to shards, planned or not: operations, and the watch for lost primaries. */
export class Continuity {
  readonly operations: Operations
  readonly #drivers: ShardDrivers
  readonly #watch: FailoverWatch
  #config: Config

  constructor(options: ContinuityOptions, config: Config) {
    const { monitor, log } = options
    this.#config = config
    this.#drivers = new ShardDrivers(options.environment, (message) => log.info(message))
    this.operations = new Operations({
      monitor,
      link: options.link,
      drivers: () => this.#drivers.all,
      drainMs: () => this.#config.operations.drainMs,
      now: options.now,
      wallClock: options.wallClock,
      memory: options.memory,
      onReport: (result) => this.#report(options, result),
      journal: new OperationJournal(options.dataDirectory, (reason) => log.warn(reason)),
      onEnded: () => this.#watch.look(),
      events: options.events,
      log,
    })
    this.#watch = new FailoverWatch({
      settings: () => this.#config.failover,
      topology: () => monitor.topology,
      isOurs: ({ name }) => this.#drivers.manages(name),
      operations: this.operations,
      knock: ({ address, port }) => (address === null ? Promise.resolve(false) : knock(address, port, KNOCK_MS)),
      pause: (ms) => delay(ms),
      onAlive: ({ id }) => monitor.doubt(id, 'it seemed lost, and answers'),
      events: options.events,
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

  /** Something is known of the shards. */
  begin(): void {
    this.operations.resume()
    this.#watch.look()
  }

  /** The topology has changed. */
  look(): void {
    this.#watch.look()
  }

  /** Begins nothing any more; settles when what runs has ended, or after `patienceMs`. */
  async close(patienceMs: number): Promise<void> {
    this.#watch.close()
    await Promise.race([this.operations.idle(), delay(patienceMs, undefined, { ref: false })])
  }
}
