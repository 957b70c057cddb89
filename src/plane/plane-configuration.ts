import { type CompiledHba, compileHba } from '../auth/hba.ts'
import { type Route, routeToPrimary, usableReplicas } from '../router/route.ts'
import { claimOf } from '../shard/claim.ts'
import type { DatabaseValue, PlaneValues } from '../shard/plane-values.ts'
import { isCountedApart, type TierRule } from '../shard/policy.ts'
import type { Shard, Topology } from '../shard/topology.ts'
import { isSameJson } from '../util/same-json.ts'
import { NO_VALUES } from './no-values.ts'
import { freeTls, NO_TLS, openTls, type PlaneTls } from './plane-tls.ts'

/** What control has told the plane last, made ready for use: rules compiled, certificates loaded, databases by name. */
export class PlaneConfiguration {
  /** A copy of its own. What is replaced in it is so in place: V8 would throw away what it has compiled for another one. */
  #values: { -readonly [name in keyof PlaneValues]: PlaneValues[name] } = { ...NO_VALUES }
  #hba: CompiledHba = { rules: [] }
  #tls: PlaneTls = NO_TLS
  #databases = new Map<string, DatabaseValue>()
  #consoleShard: Shard = consoleShard(NO_VALUES)
  #countsApart = false

  get values(): PlaneValues {
    return this.#values
  }

  get hba(): CompiledHba {
    return this.#hba
  }

  get tls(): PlaneTls {
    return this.#tls
  }

  /** The admin console, as a shard. */
  get consoleShard(): Shard {
    return this.#consoleShard
  }

  /** @throws ConfigError when rules or certificates are of no use; then nothing is changed. */
  replace(values: PlaneValues): void {
    const hba = compileHba(values.hba)
    const { clientTls, serverTls } = this.#values
    // To read certificates takes milliseconds.
    if (!isSameJson([clientTls, serverTls], [values.clientTls, values.serverTls])) {
      const tls = openTls(values)
      freeTls(this.#tls)
      this.#tls = tls
    }
    this.#hba = hba
    this.#values = { ...values }
    this.#databases = new Map(values.databases.map((database) => [database.name, database]))
    this.#consoleShard = consoleShard(values)
    this.#countsApart = values.policy.rules.some(isCountedApart)
  }

  /** True: only version and topology are others than before, and are those of `values` now. */
  renumber(values: PlaneValues): boolean {
    const { version, topology } = values
    if (this.#values.version === NO_VALUES.version) return false
    if (!isSameJson(this.#values, { ...values, version: this.#values.version, topology: this.#values.topology }))
      return false
    this.#values.version = version
    this.#values.topology = topology
    return true
  }

  replaceTopology(topology: Topology): void {
    this.#values.topology = topology
  }

  /** The entry of its own, else `*`. */
  database(name: string): DatabaseValue | null {
    return this.#databases.get(name) ?? this.#databases.get('*') ?? null
  }

  /** The operator's rule at this place; −1: none, which is answered apart, as V8 looks an index below 0 up as a name, through its runtime. */
  ruleAt(place: number): TierRule | null {
    return place < 0 ? null : (this.#values.policy.rules[place] ?? null)
  }

  /** By some rules clients are counted apart from others of their tier. */
  get countsApart(): boolean {
    return this.#countsApart
  }

  /** What a client of this tier wants slots as, for whom the rule at this place holds; −1: none does. */
  claimUnder(place: number, tier: number): number {
    const rule = this.ruleAt(place)
    return rule !== null && isCountedApart(rule) ? claimOf(tier, place) : tier
  }

  route(group: string): Route {
    return routeToPrimary(this.#values.topology, group)
  }

  /** Transactions of the shard's group go elsewhere, or to another address. */
  isMisplaced(shard: Shard): boolean {
    const { group } = shard
    const route = this.route(group)
    if (route.kind === 'shard' && isSamePlace(route.shard, shard)) return false
    const isForReplicas = this.#values.databases.some((each) => each.group === group && each.role === 'replica')
    return !isForReplicas || !usableReplicas(this.#values.topology, group).some((each) => isSamePlace(each, shard))
  }
}

function isSamePlace(one: Shard, other: Shard): boolean {
  return one.id === other.id && one.address === other.address && one.port === other.port
}

function consoleShard(values: PlaneValues): Shard {
  return {
    id: -1,
    name: 'console',
    group: 'console',
    host: 'console',
    address: values.consoleSocket,
    port: 0,
    role: 'primary',
    up: true,
    maxConnections: 0,
    slots: null,
    zone: null,
    dataDirectory: null,
    health: 'up',
    adjustment: null,
  }
}
