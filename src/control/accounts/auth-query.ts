import type { Verifier } from '../../shard/plane-values.ts'
import type { AuthQueryAnswer } from './auth-query-answer.ts'
import { readAnswer } from './auth-query-answer.ts'
import type { AuthQueryConnectionOptions } from './auth-query-connection.ts'
import { AuthQueryConnection, AuthQueryError } from './auth-query-connection.ts'

/** Every setting is required: defaults are the configuration's. Durations in milliseconds. */
export interface AuthQueryOptions extends AuthQueryConnectionOptions {
  /** How long a user that was found is not asked about again. */
  readonly cacheMs: number
  /** The same for a user that was not found. */
  readonly negativeCacheMs: number
  /** How old a found user's answer may be that is given while no shard can be asked. */
  readonly staleMs: number
  /** Users kept in the cache; those least recently asked about go first. */
  readonly cacheEntries: number
  /** Users that may wait for their turn; the next ones get an error at once. */
  readonly maxWaiting: number
}

/**
 * - found: `verifier` null means that no password lets this user in. `outdated` says why an older answer was given,
 *   null for one within its time.
 * - not-found: the shard does not know the user. Answer the client as for a wrong password, with a mock.
 * - error: it is not known; `reason` is a sentence for the log.
 */
export type AuthQueryVerdict =
  | {
      readonly kind: 'found'
      readonly name: string
      readonly verifier: Verifier | null
      readonly outdated: string | null
    }
  | { readonly kind: 'not-found' }
  | { readonly kind: 'error'; readonly reason: string }

interface CacheEntry {
  readonly answer: AuthQueryAnswer
  readonly askedAt: number
}

/** Names are of type `name` on a shard, which holds 63 bytes; a longer one would be cut off and be somebody else. */
const longestNameBytes = 63

/** How often `refresh` may ask about one user: failed logins are free for an attacker, queries are not for us. */
const refreshMs = 1000

/**
 * Looks up users that the configuration does not list, with `auth.query` on the primary. Answers are cached, questions
 * about one user that come together are asked once, and no failure is thrown: it is a verdict. The owner calls
 * `close`; lookups after that give an error.
 */
export class AuthQuery {
  readonly #options: AuthQueryOptions
  readonly #connection: AuthQueryConnection
  /** In the order of the last look, the oldest first. */
  readonly #cache = new Map<string, CacheEntry>()
  readonly #underWay = new Map<string, Promise<AuthQueryVerdict>>()
  /** Settles when the question asked last has been answered. It never rejects. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(options: AuthQueryOptions) {
    this.#options = options
    this.#connection = new AuthQueryConnection(options)
  }

  /** What is known of `user`, from the cache if it is recent. */
  lookup(user: string): Promise<AuthQueryVerdict> {
    const { cacheMs, negativeCacheMs } = this.#options
    return this.#lookup(user, { found: cacheMs, 'not-found': negativeCacheMs })
  }

  /** The same after a failed login, when the password may have changed: only an answer of the last second counts. */
  refresh(user: string): Promise<AuthQueryVerdict> {
    const { cacheMs, negativeCacheMs } = this.#options
    return this.#lookup(user, {
      found: Math.min(cacheMs, refreshMs),
      'not-found': Math.min(negativeCacheMs, refreshMs),
    })
  }

  /** Forgets every answer, for RELOAD. Questions under way still answer those who asked. */
  clear(): void {
    this.#cache.clear()
  }

  /** Ends the connection. Lookups under way give an error. Resolves when nothing is left open. */
  async close(): Promise<void> {
    await this.#connection.close()
    await this.#turn
  }

  async #lookup(user: string, maxAgeMs: Record<AuthQueryAnswer['kind'], number>): Promise<AuthQueryVerdict> {
    if (Buffer.byteLength(user, 'utf8') > longestNameBytes || user.includes('\0')) return { kind: 'not-found' }
    const cached = this.#recall(user)
    if (cached !== null && this.#options.now() - cached.askedAt < maxAgeMs[cached.answer.kind]) {
      return cached.answer.kind === 'found' ? { ...cached.answer, outdated: null } : cached.answer
    }
    const underWay = this.#underWay.get(user)
    if (underWay !== undefined) return await underWay
    if (this.#underWay.size >= this.#options.maxWaiting) {
      return { kind: 'error', reason: `${this.#underWay.size} users already wait for the authentication query.` }
    }
    const verdict = this.#turn.then(() => this.#ask(user))
    // Whatever happens to this question, the next one has its turn.
    this.#turn = verdict.catch(() => {})
    this.#underWay.set(user, verdict)
    return await verdict
  }

  async #ask(user: string): Promise<AuthQueryVerdict> {
    try {
      const askedAt = this.#options.now()
      const answer = readAnswer(user, await this.#connection.ask(user))
      if (typeof answer === 'string') return { kind: 'error', reason: answer }
      this.#remember(user, { answer, askedAt })
      return answer.kind === 'found' ? { ...answer, outdated: null } : answer
    } catch (error) {
      if (!(error instanceof AuthQueryError)) throw error
      return this.#withoutShard(user, error.message)
    } finally {
      this.#underWay.delete(user)
    }
  }

  /** During a failover the users of yesterday still log in; the shard itself checks them when they arrive there. */
  #withoutShard(user: string, reason: string): AuthQueryVerdict {
    const cached = this.#recall(user)
    if (cached?.answer.kind !== 'found' || this.#options.now() - cached.askedAt >= this.#options.staleMs) {
      return { kind: 'error', reason }
    }
    return { ...cached.answer, outdated: reason }
  }

  #recall(user: string): CacheEntry | null {
    const entry = this.#cache.get(user)
    if (entry === undefined) return null
    this.#cache.delete(user)
    this.#cache.set(user, entry)
    return entry
  }

  #remember(user: string, entry: CacheEntry): void {
    this.#cache.delete(user)
    this.#cache.set(user, entry)
    const [oldest] = this.#cache.keys()
    if (this.#cache.size > this.#options.cacheEntries && oldest !== undefined) this.#cache.delete(oldest)
  }
}
