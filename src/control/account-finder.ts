import type { Config, DatabaseConfig } from '../config/schema.ts'
import type { PlaneCommand } from '../memory/control-protocol.ts'
import type { Shard, Topology } from '../shard/topology.ts'
import { AuthQuery, type AuthQueryVerdict } from './accounts/auth-query.ts'
import { consoleAccess } from './policy/plane-values.ts'
import { serverTlsValue, shardTls } from './shard-tls.ts'

type Account = Extract<PlaneCommand, { op: 'account' }>

/** Databases whose connections for the authentication query are open at once: clients choose the names. */
const MAX_DATABASES = 16
const TIMEOUT_MS = 5_000
const NEGATIVE_CACHE_MS = 1_000
/** While no primary answers, users of the last day still log in. */
const STALE_MS = 86_400_000
const CACHE_ENTRIES = 10_000
const MAX_WAITING = 1_000

/** What looking users up needs of the router. */
export interface AccountFinderOptions {
  readonly topology: () => Topology
  /** Whether connections to a shard use TLS, which in mode `prefer` the shard decides. */
  readonly usesTls: (shard: number) => boolean
  /** Monotonic milliseconds. */
  readonly now: () => number
}

/**
 * Finds users that the configuration does not list, with `auth.query`, in the database that the configuration says or
 * that the client asks for. `configure` first; `close` at the end.
 */
export class AccountFinder {
  readonly #options: AccountFinderOptions
  /** By group, server database and use of TLS, in the order of their last use. */
  readonly #queries = new Map<string, AuthQuery>()
  #config: Config | null = null

  constructor(options: AccountFinderOptions) {
    this.#options = options
  }

  /** Uses `config` from now on, and forgets what was found with another one. */
  async configure(config: Config): Promise<void> {
    this.#config = config
    await this.close()
  }

  /** For a plane's question. Failures are in the answer. */
  async find(user: string, database: string): Promise<Account> {
    const config = this.#config
    if (config === null || config.auth.query === null) return answer(user, { kind: 'not-found' }, config)
    const asked = config.auth.queryDatabase ?? database
    const entry = findDatabase(config, asked)
    if (entry === null)
      return answer(user, { kind: 'error', reason: `there is no database ${JSON.stringify(asked)}` }, config)
    return answer(user, await this.#queryFor(config, entry, entry.name ?? asked).lookup(user), config)
  }

  /** A login with what was found has failed: what the shard says may have changed. */
  async refresh(user: string, database: string): Promise<void> {
    const config = this.#config
    if (config === null || config.auth.query === null) return
    const asked = config.auth.queryDatabase ?? database
    const entry = findDatabase(config, asked)
    if (entry !== null) await this.#queryFor(config, entry, entry.name ?? asked).refresh(user)
  }

  async close(): Promise<void> {
    const queries = [...this.#queries.values()]
    this.#queries.clear()
    await Promise.all(queries.map((query) => query.close()))
  }

  #queryFor(config: Config, { group }: DatabaseConfig, serverDatabase: string): AuthQuery {
    const primary = this.#primaryOf(group)
    const tls = primary !== null && this.#options.usesTls(primary.id) ? primary.host : null
    const key = JSON.stringify([group, serverDatabase, tls])
    const query = this.#queries.get(key) ?? this.#open(config, group, serverDatabase, tls)
    this.#queries.delete(key)
    this.#queries.set(key, query)
    const [oldest] = this.#queries
    if (this.#queries.size > MAX_DATABASES && oldest !== undefined) {
      this.#queries.delete(oldest[0])
      // Its questions under way are answered with an error; nobody waits for its farewell.
      void oldest[1].close()
    }
    return query
  }

  #open({ auth, serverTls }: Config, group: string, database: string, tlsHost: string | null): AuthQuery {
    return new AuthQuery({
      query: auth.query ?? '',
      user: auth.queryUser ?? '',
      password: auth.queryPassword,
      database,
      tls: tlsHost === null ? false : shardTls(serverTlsValue(serverTls), tlsHost),
      endpoint: () => this.#primaryOf(group),
      timeoutMs: TIMEOUT_MS,
      now: this.#options.now,
      cacheMs: auth.cacheMs,
      negativeCacheMs: Math.min(auth.cacheMs, NEGATIVE_CACHE_MS),
      staleMs: STALE_MS,
      cacheEntries: CACHE_ENTRIES,
      maxWaiting: MAX_WAITING,
    })
  }

  #primaryOf(group: string): Shard | null {
    const { shards } = this.#options.topology()
    const primaries = shards.filter((shard) => shard.group === group && shard.role === 'primary')
    return primaries.find(({ up }) => up) ?? primaries[0] ?? null
  }
}

function findDatabase({ databases }: Config, name: string): DatabaseConfig | null {
  return databases.find(({ entry }) => entry === name) ?? databases.find(({ entry }) => entry === '*') ?? null
}

/** What the configuration says of the user holds; only its secret comes from the shard. */
function answer(user: string, verdict: AuthQueryVerdict, config: Config | null): Account {
  const error = verdict.kind === 'error' ? verdict.reason : null
  if (verdict.kind !== 'found' || config === null) return { op: 'account', user, account: null, error }
  const listed = config.users.find(({ name }) => name === user)
  const account = {
    name: user,
    verifier: verdict.verifier,
    password: null,
    console: consoleAccess(config, user),
    poolMode: listed?.poolMode ?? null,
    poolSize: listed?.poolSize ?? null,
    maxClients: listed?.maxClients ?? null,
  }
  return { op: 'account', user, account, error }
}
