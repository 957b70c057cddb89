import type { Reader } from '../router/read-route.ts'
import { usableReplicas } from '../router/route.ts'
import type { GroupPlan } from '../router/route-table.ts'
import type { PoolSettings } from '../server/pool-key.ts'
import type { ServerPool } from '../server/server-pool.ts'
import type { ServerCredential } from '../server/server-target.ts'
import type { DatabaseValue, PoolMode, UserValue } from '../shard/plane-values.ts'
import type { Shard } from '../shard/topology.ts'
import type { ClientHost } from './client-host.ts'

const NONE: readonly ServerPool[] = []
/** How long transactions stay on the primary after one of them could not go on elsewhere. */
const STAY_MS = 300_000

/** Whose server connections a session uses. */
export interface PoolIdentity {
  /** The name the client asked for. */
  readonly database: string
  readonly entry: DatabaseValue
  readonly user: string
  readonly userValue: UserValue | null
  /** What the client's own login left us. */
  readonly credential: ServerCredential
}

/**
 * The pool for the next transaction of whoever is of this identity; asked anew only when topology or configuration have
 * changed. Sessions get theirs from `PoolChoices`, which gives those that are alike the same one.
 */
export class PoolChoice implements Reader {
  readonly identity: PoolIdentity
  readonly mode: PoolMode
  /** How many sessions have it; written by `PoolChoices` only. */
  users = 0
  readonly #host: ClientHost
  #pool: ServerPool | null = null
  #epoch = -1
  #plan: GroupPlan | null = null
  /** Of databases that are for replicas only. */
  #replicas: readonly ServerPool[] = NONE
  #turn = 0
  /** On shards other than the primary, by shard id; of this epoch. */
  readonly #others = new Map<number, ServerPool>()
  /** When anybody of this identity was through with a transaction that may have written. Monotonic milliseconds. */
  wroteAt: number
  /** Until then, READ ONLY transactions run on the primary. Monotonic milliseconds. */
  #onPrimaryUntil = 0

  constructor(host: ClientHost, identity: PoolIdentity) {
    this.#host = host
    this.identity = identity
    this.mode = poolMode(host, identity)
    this.wroteAt = host.now
  }

  /** For the next transaction; null: the group has no primary at the moment, or no replica. */
  current(): ServerPool | null {
    if (this.#epoch !== this.#host.epoch) this.#renew()
    return this.#replicas.length === 0 ? this.#pool : this.#leastBusy()
  }

  /** Everything of it runs on replicas. */
  get isForReplicas(): boolean {
    return this.#entry.role === 'replica'
  }

  /** By their share, and of those that are equally busy each in its turn. */
  #leastBusy(): ServerPool | null {
    const { length } = this.#replicas
    let best: ServerPool | null = null
    this.#turn = (this.#turn + 1) % length
    for (let at = 0; at < length; at++) {
      const pool = this.#replicas[(this.#turn + at) % length] as ServerPool
      if (best === null || this.#workOn(pool) < this.#workOn(best)) best = pool
    }
    return best
  }

  /** With one more, for its share of the work. */
  #workOn({ busy, waiting, target }: ServerPool): number {
    const { routes, now } = this.#host
    return (busy + waiting + 1) / routes.shareOf(target.shard, now)
  }

  /** Where transactions of its group may run; null: its group has no shards, or there is no choice. */
  plan(): GroupPlan | null {
    if (this.#epoch !== this.#host.epoch) this.#renew()
    return this.#plan
  }

  /** Its pool on one of the group's shards. */
  on(shard: Shard): ServerPool {
    const known = this.#others.get(shard.id)
    if (known !== undefined) return known
    const made = this.#open(shard)
    this.#others.set(shard.id, made)
    return made
  }

  /** A shard that has refused this user or database lately is left alone. */
  canReach(shard: Shard): boolean {
    return this.on(shard).isOpen
  }

  /** A READ ONLY transaction could not go on elsewhere, so the next ones are not tried there. */
  stayOnPrimary(now: number): void {
    this.#onPrimaryUntil = now + STAY_MS
  }

  staysOnPrimary(now: number): boolean {
    return now < this.#onPrimaryUntil
  }

  #renew(): void {
    this.#epoch = this.#host.epoch
    this.#others.clear()
    const { group } = this.#entry
    if (this.isForReplicas) {
      this.#plan = null
      this.#pool = null
      this.#replicas = usableReplicas(this.#host.values.topology, group).map((shard) => this.on(shard))
      return
    }
    this.#replicas = NONE
    this.#plan = this.#host.routes.of(group)
    const route = this.#host.route(group)
    this.#pool = route.kind === 'hold' ? null : this.#open(route.shard)
  }

  get #entry(): DatabaseValue {
    return this.#host.database(this.identity.database) ?? this.identity.entry
  }

  #open(shard: Shard): ServerPool {
    const { database, user, userValue, credential } = this.identity
    const entry = this.#entry
    const target = {
      shard,
      user: entry.serverUser ?? user,
      database: entry.serverDatabase ?? database,
      credential: entry.serverUser === null ? credential : forcedCredential(entry.serverPassword),
      startup: [],
    }
    return this.#host.poolSet.get(
      { database, user, target, mode: this.mode },
      poolSettings(this.#host, entry, userValue),
    )
  }
}

/** The user's own mode, else the database's, else the general one. */
export function poolMode({ values }: Pick<ClientHost, 'values'>, { userValue, entry }: PoolIdentity): PoolMode {
  return userValue?.poolMode ?? entry.poolMode ?? values.pool.mode
}

/** The user's own size, else the database's, else the general one. */
export function poolSettings(
  { values }: Pick<ClientHost, 'values'>,
  entry: DatabaseValue,
  user: UserValue | null,
): PoolSettings {
  return {
    size: user?.poolSize ?? entry.poolSize ?? values.pool.size,
    minSize: entry.minPoolSize ?? values.pool.minSize,
  }
}

function forcedCredential(password: string | null): ServerCredential {
  return { scram: password === null ? null : { kind: 'password', password }, password, md5Hash: null }
}
