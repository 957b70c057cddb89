import { poolSettings } from '../client/pool-choice.ts'
import type { PoolWaiter } from '../server/pool-waiter.ts'
import type { PlaneValues } from '../shard/plane-values.ts'
import type { Shard, Topology } from '../shard/topology.ts'
import { Fifo } from '../util/fifo.ts'
import { isSameJson } from '../util/same-json.ts'
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

  /**
   * New configuration; existing sessions keep what they have, new transactions follow it. Where it is the one of before, as when there
   * is another control process, nobody is to wait for that.
   */
  setValues(values: PlaneValues): void {
    const plane = this.#plane
    const before = plane.values
    const { topology } = before
    if (this.#configuration.renumber(values)) {
      plane.accounts.replace(values.users, values.mockSecret)
      plane.record.note('valuesVersion', values.version)
      this.#replaceTopology(topology, values.topology)
      return
    }
    // Throws, if it does, before anything is changed.
    this.#configuration.replace(values)
    plane.accounts.replace(values.users, values.mockSecret)
    plane.poolSet.limits = values.pool
    if (!isSameJson(before.serverTls, values.serverTls)) {
      for (const pool of plane.poolSet.all) pool.retire('server_tls has changed')
      plane.listeners.close('server_tls has changed')
    }
    this.#setRules(before, values)
    plane.record.note('valuesVersion', values.version)
    this.#changed(true)
    plane.poolSet.resize(({ database, user }) => {
      const entry = plane.database(database)
      return entry === null ? null : poolSettings(plane, entry, plane.accounts.get(user))
    })
  }

  /** All clients are looked at, which everybody would wait for. */
  #setRules(before: PlaneValues, { analyzer, policy: { rules } }: PlaneValues): void {
    if (isSameJson(before.analyzer, analyzer) && isSameJson(before.policy.rules, rules)) return
    this.#plane.analyzer.setValues(analyzer, rules, this.#plane.now)
  }

  setTopology(topology: Topology): void {
    this.#replaceTopology(this.#plane.values.topology, topology)
    this.#plane.record.note('topologyVersion', topology.version)
  }

  /** Another control process says the same again, with another version. */
  #replaceTopology(before: Topology, { version, shards }: Topology): void {
    const isSame = isSameJson(before.shards, shards)
    this.#configuration.replaceTopology({ version, shards: isSame ? before.shards : shards })
    if (!isSame) this.#changed(false)
  }

  /** Server connections of this database may have something of a session that nobody has seen. */
  renewServers(group: string, database: string): void {
    for (const pool of this.#plane.poolSet.all) {
      const { target } = pool
      if (target.database === database && target.shard.group === group) pool.retire(UNSEEN)
    }
  }

  /** Whoever waits may have another place to go. */
  #changed(areRulesNew: boolean): void {
    const plane = this.#plane
    plane.epoch++
    const { policy, topology } = plane.values
    plane.admissions.configure(policy, topology)
    if (areRulesNew) for (const pool of plane.poolSet.all) pool.recount()
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
