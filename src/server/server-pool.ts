import { POOL, POOL_F64 } from '../memory/pool-records.ts'
import type { ErrorFields } from '../protocol/messages.ts'
import type { ParameterSet } from '../session/parameters.ts'
import { Fifo, type FifoNode } from '../util/fifo.ts'
import { Timer } from '../util/timer-wheel.ts'
import { ServerConnection, type ServerOwner } from './server-connection.ts'
import type { ServerHost } from './server-host.ts'
import type { ServerTarget } from './server-target.ts'

/** A client in the queue of a pool, or of those whom no pool can serve at the moment. */
export interface PoolWaiter extends FifoNode {
  /** It is the waiter's now; attach it or give it back. */
  onServer(server: ServerConnection): void
  /** No server connection can be had at all: the shard refused this user or database. */
  onPoolFailed(fields: ErrorFields): void
  /** Taken out of the queue: topology or configuration have changed, and it may have another place to go. */
  requeue(): void
}

/** What limits a pool besides its own size: connections of the shard, the user, the database. */
export interface PoolQuota {
  /** Whether one more server connection may be opened; `mayEvict`: an idle one of another pool may be closed for it. */
  admit(pool: ServerPool, mayEvict: boolean): boolean
  /** A server connection is gone: other pools may have waited for the room. */
  released(pool: ServerPool): void
}

/** What a fresh session finds. */
export interface PoolWelcome {
  readonly reported: ReadonlyMap<string, string>
  readonly baseline: ParameterSet
}

export interface PoolSettings {
  readonly size: number
  readonly minSize: number
}

/** A shard that stays away is said again this often. */
const REPEAT_LOG_MS = 30_000
/** SQLSTATE classes of a refused login that waiting will not heal: wrong password, no such role or database, no right. */
const HOPELESS = new Set(['28', '3D', '42'])

/**
 * The server connections for one (shard, user, database), and the clients that wait for one, first come first served.
 * The connection used last is given out first, so that the others grow old and can be closed.
 */
export class ServerPool implements ServerOwner {
  readonly record: number
  readonly #host: ServerHost
  readonly #quota: PoolQuota
  readonly #all = new Set<ServerConnection>()
  /** The most recently used last. */
  readonly #idle: ServerConnection[] = []
  readonly #waiters = new Fifo<PoolWaiter>()
  readonly #retry: Timer
  readonly #f: number
  #paused = false
  #loggedAt = Number.NEGATIVE_INFINITY
  target: ServerTarget
  #settings: PoolSettings
  /** Why no server connection could be opened last time; null when the last one could. */
  lastFailure: ErrorFields | null = null
  /** What the last server connection reported at login: the welcome for clients. Null before the first. */
  welcome: PoolWelcome | null = null

  constructor(host: ServerHost, quota: PoolQuota, target: ServerTarget, settings: PoolSettings, record: number) {
    this.#host = host
    this.#quota = quota
    this.target = target
    this.#settings = settings
    this.record = record
    this.#f = record * (host.pools.recordBytes >> 3)
    this.#retry = new Timer(() => this.#grow())
  }

  get settings(): PoolSettings {
    return this.#settings
  }

  get size(): number {
    return this.#all.size
  }

  get idle(): number {
    return this.#idle.length
  }

  get waiting(): number {
    return this.#waiters.length
  }

  /** Server connections that somebody has or that are on their way. */
  get busy(): number {
    return this.#all.size - this.#idle.length
  }

  get paused(): boolean {
    return this.#paused
  }

  get servers(): ReadonlySet<ServerConnection> {
    return this.#all
  }

  /** Since when its longest idle connection is; Infinity without one. */
  get oldestIdleSince(): number {
    return this.#idle[0]?.idleSince ?? Number.POSITIVE_INFINITY
  }

  /** A smaller pool gives up what is too much as it becomes free. */
  resize(settings: PoolSettings): void {
    this.#settings = settings
    this.#host.pools.i32[this.record * (this.#host.pools.recordBytes >> 2) + POOL.size] = settings.size
    this.#shrink()
    this.#grow()
  }

  /** A free server connection right now, or null: then `wait`. Those who wait already go first. */
  checkout(): ServerConnection | null {
    if (this.#paused || this.#waiters.length > 0) return null
    return this.#takeIdle()
  }

  wait(waiter: PoolWaiter): void {
    this.#waiters.push(waiter)
    this.#grow()
  }

  leave(waiter: PoolWaiter): void {
    this.#waiters.remove(waiter)
  }

  pause(): void {
    this.#setPaused(true)
  }

  resume(): void {
    this.#setPaused(false)
    this.#serve()
    this.#grow()
  }

  /** Closes what is idle now, and the rest as clients let go of it. */
  retire(reason: string): void {
    for (const server of this.#all) server.retired = reason
    for (const server of [...this.#idle]) server.close(reason)
  }

  /** Closes everything at once. */
  kill(reason: string): void {
    for (const server of [...this.#all]) server.close(reason)
  }

  /** Everybody in the queue, taken out of it: the pool is not the right one any more. */
  dismissWaiters(): PoolWaiter[] {
    const waiters: PoolWaiter[] = []
    for (let waiter = this.#waiters.shift(); waiter; waiter = this.#waiters.shift()) waiters.push(waiter)
    return waiters
  }

  /** Gives up the connection that is idle for longest, to make room elsewhere. */
  evictIdle(): boolean {
    const server = this.#idle[0]
    if (server === undefined || this.#waiters.length > 0) return false
    if (this.#all.size <= this.#settings.minSize) return false
    server.close('evicted: another pool needs the room')
    return true
  }

  /** Once a second: closes what is idle or old, and keeps the minimum. */
  maintain(now: number): void {
    const { serverIdleMs, serverLifetimeMs } = this.#host.timeouts
    for (const server of [...this.#idle]) {
      const old = serverLifetimeMs > 0 && now - server.createdAt > serverLifetimeMs
      const unused = serverIdleMs > 0 && now - server.idleSince > serverIdleMs && this.#all.size > this.settings.minSize
      if (old) server.close('server_lifetime is over')
      else if (unused) server.close('server_idle is over')
    }
    if (this.#all.size < this.settings.minSize && !this.#paused && !this.#retry.armed) this.#open(false)
  }

  /** Room has come up elsewhere. */
  reconsider(): void {
    this.#grow()
  }

  onServerReady(server: ServerConnection): void {
    if (server.retired !== null || !this.#all.has(server)) {
      server.close(server.retired ?? 'not of this pool')
      return
    }
    this.lastFailure = null
    if (this.welcome?.baseline !== server.baseline)
      this.welcome = { reported: server.reported, baseline: server.baseline }
    this.#idle.push(server)
    this.#shrink()
    this.#serve()
  }

  onServerClosed(server: ServerConnection, reason: string, login: ErrorFields | null): void {
    this.#all.delete(server)
    const at = this.#idle.indexOf(server)
    if (at >= 0) this.#idle.splice(at, 1)
    if (login !== null) this.#failed(login, reason)
    else {
      this.#host.log('debug', 'server connection closed', { shard: this.target.shard.name, reason })
      this.#grow()
    }
    this.#quota.released(this)
  }

  #shrink(): void {
    while (this.#all.size > this.settings.size && this.#idle.length > 0)
      this.#idle[0]?.close('pool.size is smaller now')
  }

  #serve(): void {
    while (!this.#paused && this.#waiters.length > 0) {
      const server = this.#takeIdle()
      if (server === null) return
      this.#waiters.shift()?.onServer(server)
    }
  }

  #takeIdle(): ServerConnection | null {
    const { serverCheckMs } = this.#host.timeouts
    for (let server = this.#idle.pop(); server; server = this.#idle.pop()) {
      if (serverCheckMs === 0 || this.#host.now - server.idleSince < serverCheckMs) return server
      server.test()
    }
    return null
  }

  /** Opens as many as there are clients to serve, within all bounds. */
  #grow(): void {
    if (this.#retry.armed || this.#paused) return
    let coming = this.#coming()
    while (this.#waiters.length > coming && this.#all.size < this.settings.size) {
      if (!this.#open(true)) return
      coming++
    }
  }

  /** Being opened, reset or tested: they will serve somebody soon. */
  #coming(): number {
    let coming = 0
    for (const server of this.#all) if (server.state !== 'active' && server.state !== 'idle') coming++
    return coming
  }

  #open(mayEvict: boolean): boolean {
    if (!this.#quota.admit(this, mayEvict)) return false
    const slot = this.#host.takeServerSlot()
    if (slot < 0) return false
    try {
      const server = new ServerConnection(this.#host, this, this.target, slot, this.record)
      this.#all.add(server)
      this.#add(POOL_F64.serverConnects)
      return true
    } catch (error) {
      this.#host.freeServerSlot(slot)
      const message = error instanceof Error ? error.message : String(error)
      this.#failed({ severity: 'FATAL', sqlstate: '08001', message }, message)
      return false
    }
  }

  /** A server that refuses us for good fails those who wait; one that is away is tried again while they wait. */
  #failed(fields: ErrorFields, reason: string): void {
    const { shard, user, database } = this.target
    const isNews = this.lastFailure?.message !== fields.message || this.#host.now - this.#loggedAt > REPEAT_LOG_MS
    this.lastFailure = fields
    const hopeless = HOPELESS.has(fields.sqlstate.slice(0, 2))
    this.#add(hopeless ? POOL_F64.serverLoginFailures : POOL_F64.serverConnectFailures)
    if (isNews) {
      this.#loggedAt = this.#host.now
      const { sqlstate } = fields
      this.#host.log('warn', 'server connection failed', { shard: shard.name, user, database, sqlstate, reason })
    }
    if (hopeless) {
      for (const waiter of this.dismissWaiters()) waiter.onPoolFailed(fields)
      return
    }
    this.#host.suspect(shard.id, reason)
    this.#host.timers.arm(this.#retry, this.#host.now + Math.max(10, this.#host.timeouts.serverLoginRetryMs))
  }

  #setPaused(paused: boolean): void {
    this.#paused = paused
    const i = this.record * (this.#host.pools.recordBytes >> 2)
    this.#host.pools.i32[i + POOL.paused] = paused ? 1 : 0
  }

  #add(field: number): void {
    this.#host.pools.f64[this.#f + field] = (this.#host.pools.f64[this.#f + field] ?? 0) + 1
  }
}
