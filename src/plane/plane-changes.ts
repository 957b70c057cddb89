import { poolSettings } from '../client/pool-choice.ts'
import type { PoolWaiter } from '../server/pool-waiter.ts'
import type { PlaneValues } from '../shard/plane-values.ts'
import type { Shard, Topology } from '../shard/topology.ts'
import { Fifo } from '../util/fifo.ts'
import type { Plane } from './plane.ts'
import type { PlaneConfiguration } from './plane-configuration.ts'

const UNSEEN = 'what its database calls unseen may have left something behind'

/** What a plane does when it is told another configuration, or another topology. */
export class PlaneChanges {
  readonly #plane: Plane
  readonly #configuration: PlaneConfiguration
  /** Wait for a topology that has a place for them. */
  readonly #held = new Fifo<PoolWaiter>()

  constructor(plane: Plane, configuration: PlaneConfiguration) {
    this.#plane = plane
    this.#configuration = configuration
  }

  /** Nobody can serve it as things are. */
  hold(waiter: PoolWaiter): void {
    this.#held.push(waiter)
  }

  /** New configuration; existing sessions keep what they have, new transactions follow it. */
  setValues(values: PlaneValues): void {
    const plane = this.#plane
    const before = plane.values
    // Throws, if it does, before anything is changed.
    this.#configuration.replace(values)
    plane.accounts.replace(values.users, values.mockSecret)
    plane.poolSet.limits = values.pool
    if (JSON.stringify(before.serverTls) !== JSON.stringify(values.serverTls)) {
      for (const pool of plane.poolSet.all) pool.retire('server_tls has changed')
      plane.listeners.close('server_tls has changed')
    }
    plane.analyzer.setValues(values.analyzer, values.policy.rules, plane.now)
    plane.record.note('valuesVersion', values.version)
    this.#changed()
    plane.poolSet.resize(({ database, user }) => {
      const entry = plane.database(database)
      return entry === null ? null : poolSettings(plane, entry, plane.accounts.get(user))
    })
  }

  setTopology(topology: Topology): void {
    const plane = this.#plane
    this.#configuration.replaceTopology(topology)
    plane.record.note('topologyVersion', topology.version)
    this.#changed()
  }

  /** Server connections of this database may have something of a session that nobody has seen. */
  renewServers(group: string, database: string): void {
    for (const pool of this.#plane.poolSet.all) {
      const { target } = pool
      if (target.database === database && target.shard.group === group) pool.retire(UNSEEN)
    }
  }

  /** Whoever waits may have another place to go. */
  #changed(): void {
    const plane = this.#plane
    plane.epoch++
    const { policy, topology } = plane.values
    plane.admissions.configure(policy, topology)
    plane.routes.rebuild(policy, topology, plane.now)
    plane.readRouting.configure(policy)
    const waiting: PoolWaiter[] = []
    for (let waiter = this.#held.shift(); waiter; waiter = this.#held.shift()) waiting.push(waiter)
    for (const pool of plane.poolSet.all) {
      if (pool.waiting > 0 && this.#isMisplaced(pool.target.shard)) waiting.push(...pool.dismissWaiters())
    }
    for (const waiter of waiting) waiter.requeue()
    plane.poolSet.abandonMisplaced((shard) => this.#isMisplaced(shard))
    plane.poolSet.reconsider()
    plane.listeners.revise()
  }

  /** Nobody is sent there any more, or to another address. */
  #isMisplaced(shard: Shard): boolean {
    return this.#configuration.isMisplaced(shard) && !this.#plane.routes.isReadable(shard)
  }
}
