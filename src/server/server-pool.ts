import { POOL, POOL_F64 } from '../memory/pool-records.ts'
import type { ErrorFields } from '../protocol/messages.ts'
import type { ParameterSet } from '../session/parameters.ts'
import type { PoolMode } from '../shard/plane-values.ts'
import { Timer } from '../util/timer-wheel.ts'
import type { PoolWaiter } from './pool-waiter.ts'
import { type KeptServer, ServerConnection, type ServerOwner } from './server-connection.ts'
import type { ServerHost } from './server-host.ts'
import type { ServerKind } from './server-kind.ts'
import type { ServerTarget } from './server-target.ts'
import type { LanePool, ShardLane } from './shard-lane.ts'
import { WaitingLine } from './waiting-line.ts'

/** What limits a pool besides its own size: connections of the shard, the user, the database. */
export interface PoolQuota {
  /** Whether one more server connection may be opened; `mayEvict`: an idle one of another pool may be closed for it. */
  admit(pool: ServerPool, mayEvict: boolean): boolean
  /** A server connection is gone: other pools may have waited for the room. */
  released(pool: ServerPool): void
}

/** What makes two clients share server connections. */
export interface PoolKey {
  /** The name clients ask for. */
  readonly database: string
  readonly user: string
  readonly target: ServerTarget
  readonly mode: PoolMode
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
/** After this time a pool that could open no connection may be tried by those who have another place to go. */
const FORGIVE_MS = 5000
/** SQLSTATE classes of a refused login that waiting will not heal: wrong password, no such role or database, no right. */
const HOPELESS = new Set(['28', '3D', '42'])

/**
 * The server connections for one (shard, user, database), and the clients that wait for one. Whose turn it is, and whether
 * there is a slot of the shard for it, the shard's lane says. The connection used last is given out first, so that the
 * others grow old and can be closed.
 */
export class ServerPool implements ServerOwner, LanePool {
  readonly record: number
  readonly #host: ServerHost
  readonly #quota: PoolQuota
  readonly #lane: ShardLane
  readonly #all = new Set<ServerConnection>()
  /** The most recently used last. */
  readonly #idle: ServerConnection[] = []
  readonly #waiters: WaitingLine
  readonly #retry: Timer
  readonly #f: number
  #paused = false
  /** Its shard is being stopped or moved. */
  #held = false
  /** Fewer connections were opened than clients wait, because the shard has no slots for more. */
  wasHeldBack = false
  /** When one of its connections was lost last. Monotonic milliseconds. */
  #lostAt = Number.NEGATIVE_INFINITY
  #loggedAt = Number.NEGATIVE_INFINITY
  #failedAt = Number.NEGATIVE_INFINITY
  target: ServerTarget
  #settings: PoolSettings
  /** Why no server connection could be opened last time; null when the last one could. */
  lastFailure: ErrorFields | null = null
  /** What the last server connection reported at login: the welcome for clients. Null before the first. */
  welcome: PoolWelcome | null = null

  readonly kind: ServerKind

  constructor(
    host: ServerHost,
    { quota, lane }: { readonly quota: PoolQuota; readonly lane: ShardLane },
    { database, user, mode, target }: PoolKey,
    settings: PoolSettings,
    record: number,
  ) {
    this.#host = host
    this.kind = { kind: 'pool', database, user, mode }
    this.#quota = quota
    this.#lane = lane
    this.#waiters = new WaitingLine(lane.admission)
    this.target = target
    this.#settings = settings
    this.record = record
    this.#f = record * (host.pools.recordBytes >> 3)
    this.#retry = new Timer(() => this.#grow())
    lane.add(this)
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

  /** It has server connections, or nothing is known against opening one. */
  get isOpen(): boolean {
    return this.lastFailure === null || this.#idle.length > 0 || this.#host.now - this.#failedAt > FORGIVE_MS
  }

  /** Nobody gets a server connection, because an operator paused it or because its shard is held. */
  get paused(): boolean {
    return this.#paused || this.#held
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

  /**
   * A free server connection right now for a transaction of this tier, or null: then `wait`. Those of this tier and higher
   * ones who wait already go first.
   */
  checkout(tier: number): ServerConnection | null {
    if (this.paused || (this.#waiters.length > 0 && this.#waiters.has(tier))) return null
    if (!this.#lane.admission.mayTake(tier)) return null
    const server = this.#takeIdle()
    if (server !== null) this.#give(server, tier)
    return server
  }

  /** `onServer` or `onPoolFailed` follows, perhaps before this returns. */
  wait(waiter: PoolWaiter): void {
    const { admission } = this.#lane
    const refusal = admission.refusal(waiter.tier)
    if (refusal !== null) {
      admission.refused(waiter.tier)
      waiter.onPoolFailed(refusal)
      return
    }
    waiter.waitingSince = this.#host.now
    this.#waiters.push(waiter)
    this.#lane.count(1)
    this.#lane.shed()
    this.#grow()
  }

  leave(waiter: PoolWaiter): void {
    const before = this.#waiters.length
    this.#waiters.remove(waiter)
    this.#lane.count(this.#waiters.length - before)
  }

  /** Somebody of this tier waited too long here. */
  noteTimedOut(tier: number): void {
    if (tier >= 0) this.#lane.admission.timedOut(tier)
  }

  /** Whose turn is first of those who wait here, and `turn` is then when. */
  firstInLine(): PoolWaiter | null {
    return this.#waiters.first()
  }

  get turn(): number {
    return this.#waiters.turn
  }

  /** Somebody waits, and a server connection is free. */
  get canServe(): boolean {
    return this.#waiters.length > 0 && this.#idle.length > 0 && !this.paused
  }

  /** Who came last of this tier. */
  newest(tier: number): PoolWaiter | null {
    return this.#waiters.newest(tier)
  }

  /** Gives the first in line a server connection; false: nobody can get one. */
  serveFirst(): boolean {
    const waiter = this.#waiters.first()
    if (waiter === null) return false
    const server = this.#takeIdle()
    // One that has to be tested first is none, but the next one may do.
    if (server === null) return this.#idle.length > 0
    const tier = waiter.waitsAs
    this.leave(waiter)
    this.#give(server, tier)
    this.#lane.admission.waited(tier, this.#host.now - waiter.waitingSince)
    waiter.onServer(server)
    return true
  }

  /** It counts as one of the tier's until it comes back. */
  #give(server: ServerConnection, tier: number): void {
    this.#lane.admission.take(tier)
    server.tier = tier
  }

  #takeBack(server: ServerConnection): void {
    if (server.tier < 0) return
    this.#lane.admission.release(server.tier)
    server.tier = -1
  }

  pause(): void {
    this.#setPaused(true)
  }

  resume(): void {
    this.#setPaused(false)
    this.#lane.serve(this)
    this.#grow()
  }

  /** Like a pause, and beside it: the shard is away for a while that ends by itself. */
  hold(): void {
    this.#held = true
  }

  /** Those who waited go on, and a shard that refused us is dialled at once. */
  release(): void {
    if (!this.#held) return
    this.#held = false
    this.#host.timers.disarm(this.#retry)
    this.#lane.serve(this)
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
    this.#lane.count(-this.#waiters.length)
    return this.#waiters.clear()
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
    if (this.#all.size < this.settings.minSize && !this.paused && !this.#retry.armed) this.#open(false)
  }

  /** Room has come up elsewhere. */
  reconsider(): void {
    this.#grow()
  }

  onServerReady(server: ServerConnection): void {
    this.#takeBack(server)
    if (server.retired !== null || !this.#all.has(server)) {
      server.close(server.retired ?? 'not of this pool')
      return
    }
    this.lastFailure = null
    if (this.welcome?.baseline !== server.baseline)
      this.welcome = { reported: server.reported, baseline: server.baseline }
    this.#idle.push(server)
    this.#shrink()
    this.#lane.serve(this)
  }

  onServerClosed(server: ServerConnection, reason: string, login: ErrorFields | null): void {
    this.#takeBack(server)
    this.#all.delete(server)
    const at = this.#idle.indexOf(server)
    if (at >= 0) this.#idle.splice(at, 1)
    if (login !== null) this.#failed(login, reason)
    else {
      if (server.isLost) this.#lostAt = this.#host.now
      this.#host.log('debug', 'server connection closed', { shard: this.target.shard.name, reason })
      this.#grow()
    }
    this.#quota.released(this)
    this.#lane.serve(this)
  }

  #shrink(): void {
    while (this.#all.size > this.settings.size && this.#idle.length > 0)
      this.#idle[0]?.close('pool.size is smaller now')
  }

  #takeIdle(): ServerConnection | null {
    const { serverCheckMs } = this.#host.timeouts
    for (let server = this.#idle.pop(); server; server = this.#idle.pop()) {
      const isRecent = serverCheckMs === 0 || this.#host.now - server.idleSince < serverCheckMs
      // When one has been lost, the others may have been as well, and not have said so yet.
      if (isRecent && server.idleSince >= this.#lostAt) return server
      server.test()
    }
    return null
  }

  /** Opens as many as there are clients to serve, within all bounds. */
  #grow(): void {
    if (this.#retry.armed || this.paused) return
    if (this.#waiters.length === 0) {
      this.wasHeldBack = false
      return
    }
    const wanted = this.#waiters.admissible
    this.wasHeldBack = wanted < this.#waiters.length
    let coming = this.#coming()
    while (wanted > coming && this.#all.size < this.settings.size) {
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
      server.admission = this.#lane.admission
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
    this.#failedAt = this.#host.now
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

  /**
   * Goes on with a connection of this pool that another process has had. `tier`: its client's, −1 without one. Throws Error
   * when it cannot be read.
   */
  adopt(slot: number, kept: KeptServer, tier: number): ServerConnection {
    const server = new ServerConnection(this.#host, this, this.target, slot, this.record, kept)
    server.admission = this.#lane.admission
    this.#all.add(server)
    if (tier >= 0) this.#give(server, tier)
    this.welcome ??= { reported: server.reported, baseline: server.baseline }
    if (server.state === 'idle') this.#idle.push(server)
    return server
  }

  #add(field: number): void {
    this.#host.pools.f64[this.#f + field] = (this.#host.pools.f64[this.#f + field] ?? 0) + 1
  }
}
