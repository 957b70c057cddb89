import { SERVER } from '../memory/server-slots.ts'
import type { ErrorFields } from '../protocol/messages.ts'
import { tierOfClaim } from '../shard/claim.ts'
import { IdleServers } from './idle-servers.ts'
import type { KeptServer } from './kept-server.ts'
import type { PoolAdmission } from './pool-admission.ts'
import type { PoolWelcome } from './pool-key.ts'
import { ServerConnection } from './server-connection.ts'
import type { ServerHost } from './server-host.ts'
import type { ServerKind } from './server-kind.ts'
import type { ServerOwner } from './server-owner.ts'
import type { ServerTarget } from './server-target.ts'

/** The pool that server connections are in. */
interface PoolOfServers {
  readonly record: number
  readonly target: ServerTarget
  /** One more of them is idle. */
  onServerFree(): void
  /** One less is there. `login` fields when it never got ready. */
  onServerGone(reason: string, login: ErrorFields | null): void
}

/** The server connections of one pool: which of them are idle, and which slots of the shard those that are given out take. */
export class PoolServers implements ServerOwner {
  readonly kind: ServerKind
  readonly #host: ServerHost
  readonly #pool: PoolOfServers
  readonly #admission: PoolAdmission
  readonly #all = new Set<ServerConnection>()
  readonly #idle: IdleServers
  /** What the last one reported at login: the welcome for clients. Null before the first. */
  welcome: PoolWelcome | null = null

  constructor(host: ServerHost, pool: PoolOfServers, admission: PoolAdmission, kind: ServerKind) {
    this.#host = host
    this.#pool = pool
    this.#admission = admission
    this.kind = kind
    this.#idle = new IdleServers(host)
  }

  get all(): ReadonlySet<ServerConnection> {
    return this.#all
  }

  get size(): number {
    return this.#all.size
  }

  get idle(): number {
    return this.#idle.count
  }

  /** The one that is idle for longest. */
  get oldestIdle(): ServerConnection | null {
    return this.#idle.oldest
  }

  /** A new connection, in this slot. Throws as `ServerConnection` does. */
  open(slot: number): void {
    this.#add(slot, null)
  }

  /**
   * Goes on with a connection of this pool that another process has had. `claim`: its client's, −1 without one. Throws Error
   * when it cannot be read.
   */
  adopt(slot: number, kept: KeptServer, claim: number): ServerConnection {
    const server = this.#add(slot, kept)
    if (claim >= 0) this.#give(server, claim, true)
    this.welcome ??= { reported: server.identity.reported, baseline: server.baseline }
    if (server.state === 'idle') this.#idle.add(server)
    return server
  }

  #add(slot: number, kept: KeptServer | null): ServerConnection {
    const { target, record } = this.#pool
    const server = new ServerConnection(this.#host, this, target, slot, record, kept)
    server.admission = this.#admission
    this.#all.add(server)
    return server
  }

  /** An idle one, which counts for this claim until it comes back; null: none can be used at once. */
  take(claim: number): ServerConnection | null {
    const server = this.#idle.take(tierOfClaim(claim))
    if (server !== null) this.#give(server, claim, false)
    return server
  }

  /** The operator's rules are others: transactions under way count for the present ones, with the tier that they have. */
  recount(): void {
    const { i32, recordBytes } = this.#host.servers
    for (const server of this.#all) {
      if (server.tier < 0) continue
      const client = (i32[server.slot * (recordBytes >> 2) + SERVER.client] ?? 0) - 1
      server.claim = client < 0 ? server.tier : this.#host.claimOf(client, server.tier)
      this.#admission.recount(server.claim)
    }
  }

  #give(server: ServerConnection, claim: number, isAdopted: boolean): void {
    const tier = tierOfClaim(claim)
    this.#admission.take(claim)
    server.tier = tier
    server.claim = claim
    if (server.target.shard.dataDirectory !== null) this.#host.cpuShares.given(server, tier, isAdopted)
  }

  #takeBack(server: ServerConnection): void {
    if (server.tier < 0) return
    if (server.target.shard.dataDirectory !== null) this.#host.cpuShares.takenBack(server)
    this.#admission.release(server.claim)
    server.tier = -1
  }

  /** Closes idle ones as far as there are more than `size`. */
  shrink(size: number): void {
    this.#idle.shrink(this.#all.size - size)
  }

  /** Closes what is old, and what is idle for long as far as there are more than `minSize`. */
  maintain(now: number, minSize: number): void {
    this.#idle.maintain(now, this.#all.size - minSize)
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

  onServerReady(server: ServerConnection): void {
    this.#takeBack(server)
    if (server.retired !== null || !this.#all.has(server)) {
      server.close(server.retired ?? 'not of this pool')
      return
    }
    if (this.welcome?.baseline !== server.baseline)
      this.welcome = { reported: server.identity.reported, baseline: server.baseline }
    this.#idle.add(server)
    this.#pool.onServerFree()
  }

  onServerClosed(server: ServerConnection, reason: string, login: ErrorFields | null): void {
    this.#takeBack(server)
    this.#all.delete(server)
    this.#idle.remove(server)
    if (login === null && server.isLost) this.#idle.noteLost()
    this.#pool.onServerGone(reason, login)
  }
}
