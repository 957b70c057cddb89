import { POOL } from '../memory/pool-records.ts'
import type { ErrorFields } from '../protocol/messages.ts'
import type { KeptServer } from './kept-server.ts'
import { PoolDialler } from './pool-dialler.ts'
import type { PoolKey, PoolSettings, PoolWelcome } from './pool-key.ts'
import type { PoolQuota } from './pool-quota.ts'
import { PoolServers } from './pool-servers.ts'
import type { PoolWaiter } from './pool-waiter.ts'
import type { ServerConnection } from './server-connection.ts'
import type { ServerHost } from './server-host.ts'
import type { ServerTarget } from './server-target.ts'
import type { LanePool, ShardLane } from './shard-lane.ts'
import { WaitingLine } from './waiting-line.ts'

/**
 * The server connections for one (shard, user, database), and the clients that wait for one. Whose turn it is, and whether
 * there is a slot of the shard for it, the shard's lane says. The connection used last is given out first, so that the
 * others grow old and can be closed.
 */
export class ServerPool implements LanePool {
  readonly record: number
  /** The name clients ask for. */
  readonly database: string
  readonly #host: ServerHost
  readonly #quota: PoolQuota
  readonly #lane: ShardLane
  readonly #servers: PoolServers
  readonly #waiters: WaitingLine
  readonly #dialler: PoolDialler
  #paused = false
  /** Its shard is being stopped or moved. */
  #held = false
  target: ServerTarget
  #settings: PoolSettings

  constructor(
    host: ServerHost,
    { quota, lane }: { readonly quota: PoolQuota; readonly lane: ShardLane },
    { database, user, mode, target }: PoolKey,
    settings: PoolSettings,
    record: number,
  ) {
    this.#host = host
    this.database = database
    this.#quota = quota
    this.#lane = lane
    this.#servers = new PoolServers(host, this, lane.admission, { kind: 'pool', database, user, mode })
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
    return this.#servers.size
  }

  get idle(): number {
    return this.#servers.idle
  }

  get waiting(): number {
    return this.#waiters.length
  }

  /** Server connections that somebody has or that are on their way. */
  get busy(): number {
    return this.#servers.size - this.#servers.idle
  }

  /** It has server connections, or nothing is known against opening one. */
  get isOpen(): boolean {
    return this.#servers.idle > 0 || this.#dialler.mayBeTried
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
    return this.#servers.all
  }

  /** What the last server connection reported at login: the welcome for clients. Null before the first. */
  get welcome(): PoolWelcome | null {
    return this.#servers.welcome
  }

  /** Since when its longest idle connection is; Infinity without one. */
  get oldestIdleSince(): number {
    return this.#servers.oldestIdle?.idleSince ?? Number.POSITIVE_INFINITY
  }

  /** A smaller pool gives up what is too much as it becomes free. */
  resize(settings: PoolSettings): void {
    this.#settings = settings
    this.#host.pools.i32[this.record * (this.#host.pools.recordBytes >> 2) + POOL.size] = settings.size
    this.#servers.shrink(settings.size)
    this.#dialler.grow()
  }

  /**
   * A free server connection right now for a transaction of this claim, or null: then `wait`. Those of its tier and higher
   * ones who wait already go first.
   */
  checkout(claim: number): ServerConnection | null {
    if (this.paused || this.#servers.idle === 0) return null
    if (this.#waiters.length > 0 && this.#waiters.has(claim)) return null
    if (!this.#lane.admission.mayTake(claim)) return null
    return this.#servers.take(claim)
  }

  /** `onServer` or `onPoolFailed` follows, perhaps before this returns. */
  wait(waiter: PoolWaiter): void {
    const { admission } = this.#lane
    const { claim } = waiter
    const refusal = admission.refusal(claim)
    if (refusal !== null) {
      admission.refused(claim)
      waiter.onPoolFailed(refusal)
      return
    }
    if (waiter.waitingSince === 0) waiter.waitingSince = this.#host.now
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

  /** Somebody of this claim waited too long here; −1: elsewhere. */
  noteTimedOut(claim: number): void {
    if (claim >= 0) this.#lane.admission.timedOut(claim)
  }

  /** The operator's rules are others: who has a slot, and who waits, counts for the present ones from now on. */
  recount(): void {
    this.#servers.recount()
    this.#waiters.recount()
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
    return this.#waiters.length > 0 && this.#servers.idle > 0 && !this.paused
  }

  lastInLine(): PoolWaiter | null {
    return this.#waiters.last()
  }

  serve(waiter: PoolWaiter): boolean {
    const claim = waiter.waitsAs
    const server = this.#servers.take(claim)
    // One that has to be tested first is none, but the next one may do.
    if (server === null) return this.#servers.idle > 0
    this.leave(waiter)
    this.#lane.admission.waited(claim, this.#host.now - waiter.waitingSince)
    waiter.waitingSince = 0
    waiter.onServer(server)
    return true
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
    this.#servers.retire(reason)
  }

  /** Closes everything at once. */
  kill(reason: string): void {
    this.#servers.kill(reason)
  }

  /** Everybody in the queue, taken out of it: the pool is not the right one any more. */
  dismissWaiters(): PoolWaiter[] {
    this.#lane.count(-this.#waiters.length)
    return this.#waiters.clear()
  }

  /** Somebody of this claim who comes now is served soon, though a connection may have to be opened first. */
  mayServeSoon(claim: number): boolean {
    return !this.paused && this.isOpen && this.#waiters.length < this.#lane.admission.room(claim)
  }

  /** Whoever waits here may have a better place by now. */
  reroute(): void {
    if (this.#waiters.length === 0) return
    // One may have lost its place because of another.
    for (const waiter of this.#waiters.all()) if (waiter.waitsAs >= 0) waiter.reroute()
  }

  /** Gives up the connection that is idle for longest, to make room elsewhere. */
  evictIdle(): boolean {
    if (this.#waiters.length > 0 || this.size <= this.#settings.minSize) return false
    const server = this.#servers.oldestIdle
    server?.close('evicted: another pool needs the room')
    return server !== null
  }

  /** Once a second: closes what is idle or old, and keeps the minimum. */
  maintain(now: number): void {
    this.#servers.maintain(now, this.#settings.minSize)
    if (this.size < this.#settings.minSize && !this.paused) this.#dialler.open(false)
  }

  /** Room has come up elsewhere. */
  reconsider(): void {
    this.#dialler.grow()
  }

  onServerFree(): void {
    this.#dialler.succeeded()
    this.#servers.shrink(this.#settings.size)
    this.#lane.serve(this)
  }

  onServerGone(reason: string, login: ErrorFields | null): void {
    if (login !== null) this.#dialler.failed(login, reason)
    else {
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
    this.#servers.open(slot)
  }

  #setPaused(paused: boolean): void {
    this.#paused = paused
    const i = this.record * (this.#host.pools.recordBytes >> 2)
    this.#host.pools.i32[i + POOL.paused] = paused ? 1 : 0
  }

  /**
   * Goes on with a connection of this pool that another process has had. `claim`: its client's, −1 without one. Throws Error
   * when it cannot be read.
   */
  adopt(slot: number, kept: KeptServer, claim: number): ServerConnection {
    return this.#servers.adopt(slot, kept, claim)
  }
}
