import type { ShardRole } from '../../shard/topology.ts'
import type { EventSink } from '../events/event-log.ts'
import { type Health, type HealthEvent, healthAfter, isUsable, unknownHealth } from './health-state.ts'
import { LoadWatch } from './load-watch.ts'
import { type Resolve, ShardAddresses } from './shard-addresses.ts'
import { ShardEvents } from './shard-events.ts'
import {
  type Observation,
  type ProbeResult,
  type ProbeSettings,
  ShardProbe,
  type ShardQuestion,
} from './shard-probe.ts'
import { type PlaneSight, strainOf } from './strain.ts'
import type { WalPosition } from './wal-position.ts'

/** Doubts may come in floods, from every client of a shard that went away. */
const SHORTEST_INTERVAL_MS = 50
/** An answer that takes longer is overdue: the shard is suspect, though the probe goes on until its timeout. */
const OVERDUE_MS = 500
/** Answers in a row before a replica that was away is used again. A primary is waited for by everybody: one will do. */
const REPLICA_PROOFS = 3
const NOTHING_ELSE = 'accepts connections'

/** Where the shard is, as the configuration has it. */
export interface WatchedShard {
  readonly name: string
  readonly host: string
  readonly port: number
}

/** What is watched, how, and who is told. */
export interface ShardWatchOptions {
  readonly shard: WatchedShard
  readonly settings: ProbeSettings
  readonly intervalMs: number
  /** From one question about its load to the next. */
  readonly loadIntervalMs: number
  readonly resolve: Resolve
  /** Watched the same shard in another way until now: what it knew holds until the first probe. */
  readonly predecessor: ShardWatch | null
  /** What planes see of it at this moment; null: nothing. */
  readonly sight: () => PlaneSight | null
  /** Something that the topology says has changed. */
  readonly onChange: () => void
  readonly events: EventSink
  /** Monotonic milliseconds. */
  readonly now: () => number
}

/** Probes one shard at an interval, and at once when there is a doubt. Runs from `start` to `close`. */
export class ShardWatch {
  readonly #options: ShardWatchOptions
  readonly #addresses: ShardAddresses
  readonly #events: ShardEvents
  #probe: ShardProbe | null = null
  #probedAddress: string | null = null
  #health: Health
  #observation: Observation | null = null
  #role: ShardRole = 'unknown'
  #probedAt = 0
  readonly load: LoadWatch
  #isClosed = false
  readonly #firstProbe = Promise.withResolvers<void>()
  /** Ends the pause between two probes. */
  #wake: (() => void) | null = null
  #isDoubted = false
  /** What the doubt is about that no answer has come to yet; '': none. */
  #doubt = ''
  /** A connection that is open proves that its backend lives, not that the server takes new ones. */
  #isFreshWanted = false

  constructor(options: ShardWatchOptions) {
    this.#options = options
    this.#addresses = new ShardAddresses(options.shard.host, options.shard.port, options.resolve)
    this.#events = new ShardEvents(options.shard.name, options.events)
    this.load = new LoadWatch(options.loadIntervalMs, options.now)
    const before = options.predecessor
    this.#health = before?.health ?? unknownHealth(options.now())
    this.#role = before?.role ?? 'unknown'
    this.#observation = before?.observation ?? null
    if (before !== null) this.#addresses.assume(before.#addresses)
  }

  /** Settles when the shard has been probed once, or is not watched any more. */
  get firstProbe(): Promise<void> {
    return this.#firstProbe.promise
  }

  /** Its last answer. */
  get observation(): Observation | null {
    return this.#observation
  }

  get health(): Health {
    return this.#health
  }

  /** As last seen; a shard that is down keeps its role, because it may come back with it. */
  get role(): ShardRole {
    return this.#role
  }

  /** Of a primary, as last seen; null: it has not said. */
  get timeline(): number | null {
    return this.#role === 'primary' ? (this.#observation?.timeline ?? null) : null
  }

  get address(): string | null {
    return this.#addresses.current
  }

  /** Monotonic milliseconds of the last finished probe; 0 = never. */
  get probedAt(): number {
    return this.#probedAt
  }

  get usesTls(): boolean {
    return this.#probe?.usesTls === true
  }

  /** Where its log is; null when it does not say so in time. */
  async position(timeoutMs: number): Promise<WalPosition | null> {
    return this.#health.state === 'down' || this.#probe === null ? null : await this.#probe.position(timeoutMs)
  }

  /** See `ShardProbe.rows`. */
  async rows<Row extends object>(question: ShardQuestion, timeoutMs: number): Promise<readonly Row[] | null> {
    return this.#health.state === 'down' || this.#probe === null ? null : await this.#probe.rows(question, timeoutMs)
  }

  /** Probes until `close`; settles then. */
  async run(): Promise<void> {
    while (!this.#isClosed) {
      this.#isDoubted = false
      await this.#watched(() => this.#probeOnce())
      this.#firstProbe.resolve()
      const probe = this.#probe
      if (!this.#isClosed && probe !== null && isUsable(this.#health) && this.load.isDue) {
        await this.#watched(() => this.load.ask(probe, OVERDUE_MS + SHORTEST_INTERVAL_MS))
      }
      if (this.#isClosed) return
      await this.#breathe()
      if (!this.#isClosed && !this.#isDoubted) await this.#pause(Math.max(1, this.#interval - SHORTEST_INTERVAL_MS))
    }
  }

  /** One that has to prove itself is asked as often as may be. */
  get #interval(): number {
    const { state } = this.#health
    return state === 'starting' || state === 'suspect' ? SHORTEST_INTERVAL_MS : this.#options.intervalMs
  }

  /** Somebody had trouble with this shard: it is probed now. */
  doubt(reason: string): void {
    this.#doubt = reason
    this.#isDoubted = true
    this.#isFreshWanted = true
    this.#wake?.()
  }

  /** The shard has said what it is to somebody else. */
  knowRole(role: 'primary' | 'replica'): void {
    if (this.#role !== role) this.#become(role, null)
  }

  close(): void {
    this.#isClosed = true
    this.#firstProbe.resolve()
    this.#probe?.close()
    this.#wake?.()
  }

  async #probeOnce(): Promise<void> {
    const failure = await this.#addresses.refresh(this.#options.now())
    const address = this.#addresses.current
    if (address === null) {
      this.#settle({ kind: 'failed', reason: failure ?? 'its host name has no address' })
      return
    }
    const probe = this.#probeOf(address)
    if (this.#isFreshWanted) probe.reconnect()
    this.#isFreshWanted = false
    const result = await probe.ask()
    if (this.#isClosed) return
    this.#probedAt = this.#options.now()
    this.#judge(result)
  }

  #probeOf(address: string): ShardProbe {
    if (this.#probe !== null && this.#probedAddress === address) return this.#probe
    this.#probe?.close()
    const { shard, settings } = this.#options
    const onBroken = (): void => this.doubt('the connection of the monitor broke')
    this.#probe = new ShardProbe({ host: shard.host, address, port: shard.port }, settings, this.#options.now, onBroken)
    this.#probedAddress = address
    return this.#probe
  }

  #judge(result: ProbeResult): void {
    switch (result.kind) {
      case 'answered':
        this.#observe(result.observation)
        this.#answered(null)
        return
      case 'busy':
        this.#answered(`it has no time or no room for the monitor: ${result.reason}`)
        return
      case 'starting':
        this.#addresses.tryNext()
        this.#settle({ kind: 'starting', reason: result.reason })
        return
      case 'locked-out':
        this.#settle({
          kind: 'failed',
          reason: `does not let the monitor in: ${result.reason}; see [monitor] in the configuration`,
        })
        return
      case 'failed':
        this.#addresses.tryNext()
        this.#settle({ kind: 'failed', reason: result.reason })
    }
  }

  #answered(trouble: string | null): void {
    this.#doubt = ''
    const slow = this.load.isSlow ? 'it has no time to tell how it is' : null
    const strain = trouble ?? slow ?? strainOf(this.load.sample, this.#options.sight())
    const proofs = this.#role === 'replica' ? REPLICA_PROOFS : 1
    this.#settle({ kind: 'answered', reason: NOTHING_ELSE, strain, proofs })
  }

  /** Carries out a question; while its answer is overdue, the shard is suspect. */
  async #watched(ask: () => Promise<void>): Promise<void> {
    let isAnswered = false
    const timer = setTimeout(() => {
      // After what has arrived was read: this process itself may have been the slow one.
      setImmediate(() => {
        if (isAnswered || this.#isClosed) return
        const why = this.#doubt !== '' ? ` (${this.#doubt})` : ''
        this.#settle({ kind: 'overdue', reason: `no answer for ${OVERDUE_MS} ms${why}` })
      })
    }, OVERDUE_MS)
    try {
      await ask()
    } finally {
      isAnswered = true
      clearTimeout(timer)
    }
  }

  #observe(observation: Observation): void {
    const before = this.#observation
    this.#observation = observation
    if (before !== null && before.startedAt !== observation.startedAt) this.#events.restarted(observation.startedAt)
    const role = observation.isInRecovery ? 'replica' : 'primary'
    if (role !== this.#role) this.#become(role, observation.serverVersion)
  }

  #become(role: 'primary' | 'replica', version: string | null): void {
    this.#events.became(role, this.#role, version)
    this.#role = role
    this.#options.onChange()
  }

  #settle(event: HealthEvent): void {
    const before = this.#health
    this.#health = healthAfter(before, event, this.#options.now())
    if (!isUsable(this.#health)) this.load.forget()
    this.#events.health(before, this.#health)
    // Also for a new address, which no state tells of: whoever listens compares.
    this.#options.onChange()
  }

  /** Not cut short by a doubt. */
  async #breathe(): Promise<void> {
    const until = this.#options.now() + SHORTEST_INTERVAL_MS
    for (let left = SHORTEST_INTERVAL_MS; left > 0 && !this.#isClosed; left = until - this.#options.now()) {
      await this.#pause(left)
    }
  }

  async #pause(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
    this.#wake = null
  }
}
