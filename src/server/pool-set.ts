import { RouterError } from '../errors.ts'
import { POOL, POOL_TEXT } from '../memory/pool-records.ts'
import type { Shard } from '../shard/topology.ts'
import type { PoolAdmission } from './pool-admission.ts'
import type { PoolKey, PoolSettings } from './pool-key.ts'
import type { PoolQuota } from './pool-quota.ts'
import type { ServerHost } from './server-host.ts'
import { ServerPool } from './server-pool.ts'
import { ShardLane } from './shard-lane.ts'

export interface QuotaLimits {
  /** Server connections of one user, and of one database, over all pools; 0 = no limit. */
  readonly maxUserConnections: number
  readonly maxDatabaseConnections: number
}

/** All pools of a plane, and the limits that they share. */
export class PoolSet implements PoolQuota {
  readonly #host: ServerHost
  readonly #pools = new Map<string, ServerPool>()
  readonly #keys = new Map<ServerPool, PoolKey>()
  readonly #admissionOf: (shard: Shard) => PoolAdmission
  /** By shard id. */
  readonly #lanes = new Map<number, ShardLane>()
  readonly #pausedDatabases = new Set<string>()
  readonly #heldShards = new Set<number>()
  #allPaused = false
  #nextRecord = 0
  limits: QuotaLimits

  /** `admissionOf` is asked once for each shard. */
  constructor(host: ServerHost, limits: QuotaLimits, admissionOf: (shard: Shard) => PoolAdmission) {
    this.#host = host
    this.#admissionOf = admissionOf
    this.limits = limits
  }

  get all(): Iterable<ServerPool> {
    return this.#pools.values()
  }

  /** The pool for this key, made when it is new. Throws when shared memory has no record left for one. */
  get(key: PoolKey, settings: PoolSettings): ServerPool {
    const { target } = key
    const name = JSON.stringify([target.shard.id, key.database, key.user, target.user, target.database])
    let pool = this.#pools.get(name)
    if (pool === undefined) {
      const record = this.#newRecord(key, settings)
      const lane = this.#laneOf(target.shard)
      pool = new ServerPool(this.#host, { quota: this, lane }, key, settings, record)
      this.#pools.set(name, pool)
      this.#keys.set(pool, key)
      if (this.isPaused(key.database)) pool.pause()
      if (this.#heldShards.has(target.shard.id)) pool.hold()
    }
    pool.target = target
    if (pool.settings.size !== settings.size || pool.settings.minSize !== settings.minSize) pool.resize(settings)
    return pool
  }

  #laneOf(shard: Shard): ShardLane {
    const known = this.#lanes.get(shard.id)
    if (known !== undefined) return known
    const made = new ShardLane(this.#admissionOf(shard))
    this.#lanes.set(shard.id, made)
    return made
  }

  /** Slots have been shared out anew: whoever can goes on. */
  reconsider(): void {
    for (const pool of this.#pools.values()) {
      if (pool.waiting === 0) continue
      this.#laneOf(pool.target.shard).serve(pool)
      pool.reconsider()
    }
  }

  /** Every pool gets the size that `settingsOf` says for it; null: leave it. */
  resize(settingsOf: (key: PoolKey) => PoolSettings | null): void {
    for (const [pool, key] of this.#keys) {
      const settings = settingsOf(key)
      if (settings !== null) pool.resize(settings)
    }
  }

  /** Pools of this database, or of all. */
  *of(database: string | null): Iterable<ServerPool> {
    for (const [pool, key] of this.#keys) if (database === null || key.database === database) yield pool
  }

  isPaused(database: string): boolean {
    return this.#allPaused || this.#pausedDatabases.has(database)
  }

  /** Databases that are paused, null for all of them, and numbers of shards that are held. */
  get stopped(): { readonly paused: readonly (string | null)[]; readonly held: readonly number[] } {
    const all = this.#allPaused ? [null] : []
    return { paused: [...all, ...this.#pausedDatabases], held: [...this.#heldShards] }
  }

  pause(database: string | null): void {
    if (database === null) this.#allPaused = true
    else this.#pausedDatabases.add(database)
    for (const pool of this.of(database)) pool.pause()
  }

  resume(database: string | null): void {
    if (database === null) {
      this.#allPaused = false
      this.#pausedDatabases.clear()
    } else this.#pausedDatabases.delete(database)
    for (const pool of this.of(database)) pool.resume()
  }

  /** Nobody gets a server connection to this shard any more, until `release`. */
  hold(shard: number): void {
    this.#heldShards.add(shard)
    for (const pool of this.ofShard(shard)) pool.hold()
  }

  release(shard: number): void {
    this.#heldShards.delete(shard)
    for (const pool of this.ofShard(shard)) pool.release()
  }

  /** Ends every hold but those of `shards`. */
  releaseAllBut(shards: readonly number[]): void {
    for (const shard of [...this.#heldShards]) if (!shards.includes(shard)) this.release(shard)
  }

  *ofShard(shard: number): Iterable<ServerPool> {
    for (const pool of this.#pools.values()) if (pool.target.shard.id === shard) yield pool
  }

  /** Idle connections to servers where nobody is sent any more are of no use. */
  abandonMisplaced(isMisplaced: (shard: Shard) => boolean): void {
    for (const pool of this.#pools.values()) {
      if (pool.size > 0 && isMisplaced(pool.target.shard)) pool.retire('the shard is no longer where transactions go')
    }
  }

  maintain(now: number): void {
    for (const pool of this.#pools.values()) pool.maintain(now)
  }

  admit(pool: ServerPool, mayEvict: boolean): boolean {
    const { shard } = pool.target
    const key = this.#keys.get(pool)
    const { maxUserConnections, maxDatabaseConnections } = this.limits
    const fits = (most: number, counts: (other: ServerPool) => boolean): boolean =>
      this.#fits(pool, most, counts, mayEvict)
    return (
      fits(shard.maxConnections, (other) => other.target.shard.id === shard.id) &&
      fits(maxUserConnections, (other) => this.#keys.get(other)?.user === key?.user) &&
      fits(maxDatabaseConnections, (other) => this.#keys.get(other)?.database === key?.database)
    )
  }

  released(pool: ServerPool): void {
    for (const other of this.#pools.values()) if (other !== pool && other.waiting > 0) other.reconsider()
  }

  /** Whether one more fits among the pools that count; the connection that is idle for longest gives way, if one may. */
  #fits(pool: ServerPool, most: number, counts: (other: ServerPool) => boolean, mayEvict: boolean): boolean {
    if (most === 0 || this.#total(counts) < most) return true
    if (!mayEvict) return false
    const others = [...this.#pools.values()].filter((other) => other !== pool && counts(other) && other.idle > 0)
    others.sort((one, other) => one.oldestIdleSince - other.oldestIdleSince)
    // Whoever waits elsewhere is told of the room first, so it has to be counted again.
    return others.some((other) => other.evictIdle()) && this.#total(counts) < most
  }

  #total(counts: (other: ServerPool) => boolean): number {
    let total = 0
    for (const pool of this.#pools.values()) if (counts(pool)) total += pool.size
    return total
  }

  /** The record of a pool that has no connection and nobody waiting; its sessions get a new pool when they need one. */
  #reclaim(): number {
    for (const [name, pool] of this.#pools) {
      if (pool.size > 0 || pool.waiting > 0) continue
      this.#pools.delete(name)
      this.#keys.delete(pool)
      this.#laneOf(pool.target.shard).remove(pool)
      this.#host.poolsChanged()
      return pool.record
    }
    throw new RouterError('53300', `all ${this.#host.pools.count} pools of the router are in use`, { origin: 'router' })
  }

  #newRecord(key: PoolKey, settings: PoolSettings): number {
    const { pools, planeIndex } = this.#host
    const record = this.#nextRecord < pools.count ? this.#nextRecord++ : this.#reclaim()
    const i = record * (pools.recordBytes >> 2)
    pools.clear(record)
    const texts = { database: key.database, user: key.user, shard: key.target.shard.name }
    const serverTexts = { serverDatabase: key.target.database, serverUser: key.target.user }
    for (const [name, text] of Object.entries({ ...texts, ...serverTexts })) {
      const { offset, capacity } = POOL_TEXT[name as keyof typeof POOL_TEXT]
      pools.writeText(record, offset, capacity, text)
    }
    pools.i32[i + POOL.plane] = planeIndex
    pools.i32[i + POOL.shard] = key.target.shard.id
    pools.i32[i + POOL.size] = settings.size
    pools.i32[i + POOL.mode] = key.mode === 'session' ? 1 : 0
    pools.i32[i + POOL.state] = 1
    return record
  }
}
