import type { ServerConnection } from './server-connection.ts'
import type { ServerHost } from './server-host.ts'

/** A pool's idle server connections. The one used last is given out first, so that the others grow old and can be closed. */
export class IdleServers {
  readonly #host: ServerHost
  /** The most recently used last. */
  readonly #servers: ServerConnection[] = []

  /** When a connection of the pool was lost last. Monotonic milliseconds. */
  #lostAt = Number.NEGATIVE_INFINITY

  constructor(host: ServerHost) {
    this.#host = host
  }

  get count(): number {
    return this.#servers.length
  }

  /** The one that is idle for longest. */
  get oldest(): ServerConnection | null {
    return this.#servers[0] ?? null
  }

  add(server: ServerConnection): void {
    this.#servers.push(server)
  }

  /** Harmless when it is not there. */
  remove(server: ServerConnection): void {
    const at = this.#servers.indexOf(server)
    if (at >= 0) this.#servers.splice(at, 1)
  }

  /** A connection of the pool was lost. */
  noteLost(): void {
    this.#lostAt = this.#host.now
  }

  /** One that can be used at once by a client of this tier; those that have to be tested first are, on the way. */
  take(tier: number): ServerConnection | null {
    const { serverCheckMs } = this.#host.timeouts
    for (let server = this.#next(tier); server; server = this.#next(tier)) {
      const isRecent = serverCheckMs === 0 || this.#host.now - server.idleSince < serverCheckMs
      // When one has been lost, the others may have been as well, and not have said so yet.
      if (isRecent && server.idleSince >= this.#lostAt) return server
      server.life.test()
    }
    return null
  }

  /** The last one that suits the tier, or else the last one. */
  #next(tier: number): ServerConnection | undefined {
    const servers = this.#servers
    const last = servers.length - 1
    // Where the servers are not on this machine they are all alike.
    if (servers[last]?.target.shard.dataDirectory === null) return servers.pop()
    let at = last
    while (at >= 0 && !this.#host.cpuShares.suits(servers[at] as ServerConnection, tier)) at--
    return at < 0 || at === last ? servers.pop() : servers.splice(at, 1)[0]
  }

  /** Closes so many, the oldest first, as far as there are. */
  shrink(surplus: number): void {
    for (let left = surplus; left > 0 && this.#servers.length > 0; left--) {
      this.#servers[0]?.close('pool.size is smaller now')
    }
  }

  /** Closes those that are old, and those that are idle for long, of which `surplus` may go. */
  maintain(now: number, surplus: number): void {
    const { serverIdleMs, serverLifetimeMs } = this.#host.timeouts
    let left = surplus
    for (const server of [...this.#servers]) {
      const isOld = serverLifetimeMs > 0 && now - server.createdAt > serverLifetimeMs
      const isUnused = serverIdleMs > 0 && now - server.idleSince > serverIdleMs && left > 0
      if (!isOld && !isUnused) continue
      left--
      server.close(isOld ? 'server_lifetime is over' : 'server_idle is over')
    }
  }

  close(reason: string): void {
    for (const server of [...this.#servers]) server.close(reason)
  }
}
