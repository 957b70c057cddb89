import { POOL } from '../memory/pool-records.ts'
import type { ErrorFields } from '../protocol/messages.ts'
import { IdleServers } from './idle-servers.ts'
import type { KeptServer } from './kept-server.ts'
import { PoolDialler } from './pool-dialler.ts'
import type { PoolKey, PoolSettings, PoolWelcome } from './pool-key.ts'
import type { PoolWaiter } from './pool-waiter.ts'
import { ServerConnection } from './server-connection.ts'
import type { ServerHost } from './server-host.ts'
import type { ServerKind } from './server-kind.ts'
import type { ServerOwner } from './server-owner.ts'
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
  readonly #idle: IdleServers
  readonly #waiters: WaitingLine
  readonly #dialler: PoolDialler
  #paused = false
  /** Its shard is being stopped or moved. */
  #held = false
  target: ServerTarget
  #settings: PoolSettings
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
    this.#idle = new IdleServers(host)
    this.#waiters = new WaitingLine(lane.admission)
    this.target = target
    this.#settings = settings
    this.record = record
    this.#dialler = new PoolDialler(host, this)
    lane.add(this)
  }

  get settings(): PoolSettings {
    return this.#settings
  }

  get size(): number {
    return this.#all.size
  }

  get idle(): number {
    return this.#idle.count
  }

  get waiting(): number {
    return this.#waiters.length
  }

  /** Server connections that somebody has or that are on their way. */
  get busy(): number {
    return this.#all.size - this.#idle.count
  }

  /** It has server connections, or nothing is known against opening one. */
  get isOpen(): boolean {
    return this.#idle.count > 0 || this.#dialler.mayBeTried
  }

  /** Why no server connection could be opened last time; null when the last one could. */
  get lastFailure(): ErrorFields | null {
    return this.#dialler.lastFailure
  }

  /** Fewer connections were opened than clients wait, because the shard has no slots for more. */
  get wasHeldBack(): boolean {
    return this.#dialler.wasHeldBack
  }

  /** How many of those who wait could begin now, if there were server connections. */
  get admissible(): number {
    return this.#waiters.admissible
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
    return this.#idle.oldest?.idleSince ?? Number.POSITIVE_INFINITY
  }

  /** A smaller pool gives up what is too much as it becomes free. */
  resize(settings: PoolSettings): void {
    this.#settings = settings
    this.#host.pools.i32[this.record * (this.#host.pools.recordBytes >> 2) + POOL.size] = settings.size
    this.#idle.shrink(this.#all.size - this.#settings.size)
    this.#dialler.grow()
  }

  /**
   * A free server connection right now for a transaction of this tier, or null: then `wait`. Those of this tier and higher
   * ones who wait already go first.
   */
  checkout(tier: number): ServerConnection | null {
    if (this.paused || (this.#waiters.length > 0 && this.#waiters.has(tier))) return null
    if (!this.#lane.admission.mayTake(tier)) return null
    const server = this.#idle.take()
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
    this.#dialler.grow()
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
    return this.#waiters.length > 0 && this.#idle.count > 0 && !this.paused
  }

  /** Who came last of this tier. */
  newest(tier: number): PoolWaiter | null {
    return this.#waiters.newest(tier)
  }

  /** Gives the first in line a server connection; false: nobody can get one. */
  serveFirst(): boolean {
    const waiter = this.#waiters.first()
    if (waiter === null) return false
    const server = this.#idle.take()
    // One that has to be tested first is none, but the next one may do.
    if (server === null) return this.#idle.count > 0
    const tier = waiter.waitsAs
    this.leave(waiter)
    this.#give(server, tier)
    this.#lane.admission.waited(tier, this.#host.now - waiter.waitingSince)
    waiter.onServer(server)
    return true
  }

  /** It counts as one of the tier's until it comes back. */
  #give(server: ServerConnection, tier: number, isAdopted = false): void {
    this.#lane.admission.take(tier)
    server.tier = tier
    if (server.target.shard.dataDirectory !== null) this.#host.cpuShares.given(server, tier, isAdopted)
  }

  #takeBack(server: ServerConnection): void {
    if (server.tier < 0) return
    if (server.target.shard.dataDirectory !== null) this.#host.cpuShares.takenBack(server)
    this.#lane.admission.release(server.tier)
    server.tier = -1
  }

  pause(): void {
    this.#setPaused(true)
  }

  resume(): void {
    this.#setPaused(false)
    this.#lane.serve(this)
    this.#dialler.grow()
  }

  /** Like a pause, and beside it: the shard is away for a while that ends by itself. */
  hold(): void {
    this.#held = true
  }

  /** Those who waited go on, and a shard that refused us is dialled at once. */
  release(): void {
    if (!this.#held) return
    this.#held = false
    this.#dialler.retryNow()
    this.#lane.serve(this)
    this.#dialler.grow()
  }

  /** Closes what is idle now, and the rest as clients let go of it. */
  retire(reason: string): void {
    for (const server of this.#all) server.retired = reason
    this.#idle.close(reason)
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
    if (this.#waiters.length > 0 || this.#all.size <= this.#settings.minSize) return false
    const server = this.#idle.oldest
    server?.close('evicted: another pool needs the room')
    return server !== null
  }

  /** Once a second: closes what is idle or old, and keeps the minimum. */
  maintain(now: number): void {
    this.#idle.maintain(now, this.#all.size - this.#settings.minSize)
    if (this.#all.size < this.settings.minSize && !this.paused) this.#dialler.open(false)
  }

  /** Room has come up elsewhere. */
  reconsider(): void {
    this.#dialler.grow()
  }

  onServerReady(server: ServerConnection): void {
    this.#takeBack(server)
    if (server.retired !== null || !this.#all.has(server)) {
      server.close(server.retired ?? 'not of this pool')
      return
    }
    this.#dialler.succeeded()
    if (this.welcome?.baseline !== server.baseline)
      this.welcome = { reported: server.identity.reported, baseline: server.baseline }
    this.#idle.add(server)
    this.#idle.shrink(this.#all.size - this.#settings.size)
    this.#lane.serve(this)
  }

  onServerClosed(server: ServerConnection, reason: string, login: ErrorFields | null): void {
    this.#takeBack(server)
    this.#all.delete(server)
    this.#idle.remove(server)
    if (login !== null) this.#dialler.failed(login, reason)
    else {
      if (server.isLost) this.#idle.noteLost()
      this.#host.log('debug', 'server connection closed', { shard: this.target.shard.name, reason })
      this.#dialler.grow()
    }
    this.#quota.released(this)
    this.#lane.serve(this)
  }

  mayOpen(mayEvict: boolean): boolean {
    return this.#quota.admit(this, mayEvict)
  }

  /** A new connection, in this slot. Throws as `ServerConnection` does. */
  open(slot: number): void {
    const server = new ServerConnection(this.#host, this, this.target, slot, this.record)
    server.admission = this.#lane.admission
    this.#all.add(server)
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
    if (tier >= 0) this.#give(server, tier, true)
    this.welcome ??= { reported: server.identity.reported, baseline: server.baseline }
    if (server.state === 'idle') this.#idle.add(server)
    return server
  }
}
