import { type PinnedLoad, pinnedSurplus } from '../router/pinned-balance.ts'
import { isUsableReplica } from '../router/route.ts'
import type { ReplySink } from '../server/reply-sink.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import type { LogFields, LogLevel } from '../server/server-host.ts'
import type { ServerPool } from '../server/server-pool.ts'
import type { DatabaseValue, PlaneValues } from '../shard/plane-values.ts'
import type { Shard, Topology } from '../shard/topology.ts'

/** Who could not leave is not asked again for so long. */
const REFUSED_MS = 60_000

/** The plane, as far as sessions of replicas are concerned. */
export interface MoverHost {
  readonly now: number
  readonly draining: boolean
  readonly values: Pick<PlaneValues, 'databases' | 'policy'> & { readonly topology: Topology }
  readonly poolSet: { readonly all: Iterable<ServerPool> }
  readonly routes: { shareOf(shard: Shard, now: number): number }
  database(name: string): DatabaseValue | null
  log(level: LogLevel, message: string, fields: LogFields): void
}

interface Mover {
  readonly client: ReplySink
  readonly group: string
}

/**
 * Keeps pinned sessions of databases that are for replicas only spread over these: asks some of those that rest on a shard with too
 * many to leave. They come back with their next request, where there is least. A session that has state which cannot be had
 * again stays, however much its shard has to do.
 */
export class PinnedMover {
  readonly #host: MoverHost
  /** Were asked to leave. */
  #asked: Mover[] = []
  #travelling: Mover[] = []
  /** When those who stayed, or have moved already, may be asked again. */
  readonly #refused = new WeakMap<ReplySink, number>()

  constructor(host: MoverHost) {
    this.#host = host
  }

  /** Once a second. */
  look(): void {
    const { values, draining } = this.#host
    const most = values.policy.routing.rebalance ?? 0
    if (most === 0 || draining || !values.databases.some(({ role }) => role === 'replica')) return
    this.#sort()
    const groups = new Set(values.databases.filter(({ role }) => role === 'replica').map(({ group }) => group))
    for (const group of groups) this.#relieve(group, most)
  }

  /** What has become of those that were asked. */
  #sort(): void {
    for (const mover of this.#asked) {
      const { client } = mover
      if (client.tie === 'travelling') this.#travelling.push(mover)
      else if (client.tie === 'tied') this.#refused.set(client, this.#host.now + REFUSED_MS)
    }
    this.#asked = []
    this.#travelling = this.#travelling.filter(({ client }) => client.tie === 'travelling')
  }

  #relieve(group: string, most: number): void {
    const pools = [...this.#host.poolSet.all].filter((pool) => this.#concerns(pool, group))
    const travelling = this.#travelling.filter((mover) => mover.group === group).length
    const surplus = pinnedSurplus(this.#loads(pools, group), travelling)
    if (surplus === null) return
    const due = Math.min(most, surplus.sessions)
    let asked = 0
    for (const server of this.#resting(pools, surplus.shard)) {
      if (asked === due) break
      const { client } = server
      if (client === null || (this.#refused.get(client) ?? 0) > this.#host.now) continue
      if (client.leave()) {
        this.#asked.push({ client, group })
        asked++
      } else this.#refused.set(client, this.#host.now + REFUSED_MS)
    }
    if (asked === 0) return
    const shard = this.#host.values.topology.shards.find(({ id }) => id === surplus.shard)?.name ?? null
    const fields = { shard, group, asked, surplus: surplus.sessions }
    this.#host.log('info', 'pinned sessions are asked to move to another replica', fields)
  }

  #concerns({ database, target, paused }: ServerPool, group: string): boolean {
    if (paused || target.shard.group !== group) return false
    return this.#host.database(database)?.role === 'replica'
  }

  #loads(pools: readonly ServerPool[], group: string): readonly PinnedLoad[] {
    const { values, routes, now } = this.#host
    const members = values.topology.shards.filter((shard) => shard.group === group)
    return members.map((shard) => {
      const share = isUsableReplica(shard) ? routes.shareOf(shard, now) : 0
      let pinned = 0
      for (const pool of pools) {
        if (pool.target.shard.id !== shard.id) continue
        for (const { client } of pool.servers) if (client?.tie === 'tied') pinned++
      }
      return { shard: shard.id, pinned, share }
    })
  }

  *#resting(pools: readonly ServerPool[], shard: number): Iterable<ServerConnection> {
    for (const { target, servers } of pools) {
      if (target.shard.id !== shard) continue
      for (const server of servers) {
        const isResting = server.state === 'active' && !server.inTransaction && server.queue.length === 0
        if (isResting && server.client?.tie === 'tied') yield server
      }
    }
  }
}
