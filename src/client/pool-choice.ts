import type { PoolSettings, ServerPool } from '../server/server-pool.ts'
import type { ServerCredential } from '../server/server-target.ts'
import type { DatabaseValue, PoolMode, UserValue } from '../shard/plane-values.ts'
import type { ClientHost } from './client-host.ts'

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
export class PoolChoice {
  readonly identity: PoolIdentity
  readonly mode: PoolMode
  /** How many sessions have it; written by `PoolChoices` only. */
  users = 0
  readonly #host: ClientHost
  #pool: ServerPool | null = null
  #epoch = -1

  constructor(host: ClientHost, identity: PoolIdentity) {
    this.#host = host
    this.identity = identity
    this.mode = poolMode(host, identity)
  }

  /** Null: the group has no primary at the moment. */
  current(): ServerPool | null {
    if (this.#epoch !== this.#host.epoch) {
      this.#epoch = this.#host.epoch
      this.#pool = this.#choose()
    }
    return this.#pool
  }

  #choose(): ServerPool | null {
    const { database, user, userValue, credential } = this.identity
    const entry = this.#host.database(database) ?? this.identity.entry
    const route = this.#host.route(entry.group)
    if (route.kind === 'hold') return null
    const target = {
      shard: route.shard,
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
