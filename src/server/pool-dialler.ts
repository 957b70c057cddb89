import { POOL_F64 } from '../memory/pool-records.ts'
import type { ErrorFields } from '../protocol/messages.ts'
import { Timer } from '../util/timer-wheel.ts'
import type { PoolSettings } from './pool-key.ts'
import type { PoolWaiter } from './pool-waiter.ts'
import type { ServerConnection } from './server-connection.ts'
import type { ServerHost } from './server-host.ts'
import type { ServerTarget } from './server-target.ts'

/** A shard that stays away is said again this often. */
const REPEAT_LOG_MS = 30_000
/** After this time a pool that could open no connection may be tried by those who have another place to go. */
const FORGIVE_MS = 5000
/**
 * SQLSTATE classes of a refused login that waiting will not heal: wrong password, no such role or database, no right, and a
 * database that allows no connections.
 */
const HOPELESS = new Set(['28', '3D', '42', '55'])

/** The pool that server connections are opened for. */
interface DialledPool {
  readonly record: number
  readonly target: ServerTarget
  readonly settings: PoolSettings
  readonly size: number
  readonly paused: boolean
  /** Clients that wait, and how many of them could begin now, if there were server connections. */
  readonly waiting: number
  readonly admissible: number
  readonly servers: ReadonlySet<ServerConnection>
  /** Whether one more may be opened; `mayEvict`: an idle one of another pool may be closed for it. */
  mayOpen(mayEvict: boolean): boolean
  /** A new connection, in this slot. Throws where the kernel refuses it. */
  open(slot: number): void
  /** Everybody who waits, taken out of the line. */
  dismissWaiters(): PoolWaiter[]
}

/** Opens a pool's server connections: as many as there are clients to serve, and again after a while where that fails. */
export class PoolDialler {
  readonly #host: ServerHost
  readonly #pool: DialledPool
  readonly #retry: Timer = new Timer(() => this.grow())
  #loggedAt = Number.NEGATIVE_INFINITY
  #failedAt = Number.NEGATIVE_INFINITY
  /** Fewer connections were opened than clients wait, because the shard has no slots for more. */
  wasHeldBack = false
  /** Why none could be opened last time; null when the last one could. */
  lastFailure: ErrorFields | null = null

  constructor(host: ServerHost, pool: DialledPool) {
    this.#host = host
    this.#pool = pool
  }

  /** Nothing is known against opening one. */
  get mayBeTried(): boolean {
    return this.lastFailure === null || this.#host.now - this.#failedAt > FORGIVE_MS
  }

  /** Opens as many as there are clients to serve, within all bounds. */
  grow(): void {
    const pool = this.#pool
    if (this.#retry.armed || pool.paused) return
    // The usual case of a busy pool is that it has all the connections it may have.
    if (pool.waiting === 0 || pool.size >= pool.settings.size) {
      this.wasHeldBack = false
      return
    }
    const wanted = pool.admissible
    this.wasHeldBack = wanted < pool.waiting
    let coming = this.#coming()
    while (wanted > coming && pool.size < pool.settings.size) {
      if (!this.open(true)) return
      coming++
    }
  }

  /** Being opened, reset or tested: they will serve somebody soon. */
  #coming(): number {
    let coming = 0
    for (const server of this.#pool.servers) if (server.state !== 'active' && server.state !== 'idle') coming++
    return coming
  }

  /** One more; false: not now. */
  open(mayEvict: boolean): boolean {
    if (this.#retry.armed || !this.#pool.mayOpen(mayEvict)) return false
    const slot = this.#host.takeServerSlot()
    if (slot < 0) return false
    try {
      this.#pool.open(slot)
      this.#count(POOL_F64.serverConnects)
      return true
    } catch (error) {
      this.#host.freeServerSlot(slot)
      const message = error instanceof Error ? error.message : String(error)
      this.failed({ severity: 'FATAL', sqlstate: '08001', message }, message)
      return false
    }
  }

  succeeded(): void {
    this.lastFailure = null
  }

  /** The next `grow` dials, however lately one has failed. */
  retryNow(): void {
    this.#host.timers.disarm(this.#retry)
  }

  /** A server that refuses us for good fails those who wait; one that is away is tried again while they wait. */
  failed(fields: ErrorFields, reason: string): void {
    const { shard, user, database } = this.#pool.target
    const isNews = this.lastFailure?.message !== fields.message || this.#host.now - this.#loggedAt > REPEAT_LOG_MS
    this.lastFailure = fields
    this.#failedAt = this.#host.now
    const hopeless = HOPELESS.has(fields.sqlstate.slice(0, 2))
    this.#count(hopeless ? POOL_F64.serverLoginFailures : POOL_F64.serverConnectFailures)
    if (isNews) {
      this.#loggedAt = this.#host.now
      const { sqlstate } = fields
      this.#host.log('warn', 'server connection failed', { shard: shard.name, user, database, sqlstate, reason })
    }
    if (hopeless) {
      for (const waiter of this.#pool.dismissWaiters()) waiter.onPoolFailed(fields)
      return
    }
    this.#host.suspect(shard.id, reason)
    this.#host.timers.arm(this.#retry, this.#host.now + Math.max(10, this.#host.timeouts.serverLoginRetryMs))
  }

  #count(field: number): void {
    const { f64, recordBytes } = this.#host.pools
    const at = this.#pool.record * (recordBytes >> 3) + field
    f64[at] = (f64[at] ?? 0) + 1
  }
}
