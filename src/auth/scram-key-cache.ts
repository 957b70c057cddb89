import { createHash } from 'node:crypto'
import type { ScramKeys } from './scram-keys.ts'
import { deriveScramKeys } from './scram-keys.ts'

/**
 * The keys of the most recently used `capacity` (password, salt, iterations), so that the second login to a shard
 * costs no PBKDF2 (4096 iterations are about 2 ms). A password is kept as its hash only, but the keys are as good as
 * the password on a server with the same salt: one cache per process, never logged.
 */
export class ScramKeyCache {
  readonly #capacity: number
  /** In order of use, the oldest first. */
  readonly #keys = new Map<string, ScramKeys>()

  constructor(capacity: number) {
    if (!Number.isInteger(capacity) || capacity < 1)
      throw new Error(`ScramKeyCache: capacity ${capacity} is not positive`)
    this.#capacity = capacity
  }

  get size(): number {
    return this.#keys.size
  }

  /** Whether `keysFor` would answer without deriving. */
  has(password: string, salt: Uint8Array, iterations: number): boolean {
    return this.#keys.has(entryName(password, salt, iterations))
  }

  /** From the cache, or derived now and kept. */
  keysFor(password: string, salt: Uint8Array, iterations: number): ScramKeys {
    const name = entryName(password, salt, iterations)
    const keys = this.#keys.get(name) ?? deriveScramKeys(password, salt, iterations)
    this.#keys.delete(name)
    this.#keys.set(name, keys)
    const [oldest] = this.#keys.keys()
    if (this.#keys.size > this.#capacity && oldest !== undefined) this.#keys.delete(oldest)
    return keys
  }
}

function entryName(password: string, salt: Uint8Array, iterations: number): string {
  return createHash('sha256')
    .update(`${iterations}:${salt.length}:`)
    .update(salt)
    .update(password, 'utf8')
    .digest('base64')
}
