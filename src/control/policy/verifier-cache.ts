import { createHmac } from 'node:crypto'
import { buildScramVerifier, defaultScramIterations, parseVerifier, scramSaltBytes } from '../../auth/scram-verifier.ts'
import type { Verifier } from '../../shard/plane-values.ts'

/** What a configured password is worth: to check clients with, and, when it is clear text, to log in with. */
export interface Credentials {
  readonly verifier: Verifier
  readonly password: string | null
}

interface Entry {
  /** Of the stored text, so that clear text is not kept a second time. */
  readonly fingerprint: string
  readonly credentials: Credentials
}

/**
 * Turns passwords into verifiers, once for each password: PBKDF2 costs about 2 ms, and a reload may bring thousands of
 * users. The salt depends on secret, user and password only, so a reload that changes nothing gives the same verifier,
 * and a client in the middle of its SCRAM exchange can finish.
 */
export class VerifierCache {
  readonly #secret: Uint8Array
  readonly #entries = new Map<string, Entry>()

  /** `secret`: 32 random bytes, the same after a restart, or clients could tell that there was one by the salts. */
  constructor(secret: Uint8Array) {
    this.#secret = secret
  }

  /** `stored`: clear text, or a verifier in PostgreSQL's form. */
  credentials(user: string, stored: string): Credentials {
    const digest = createHmac('sha256', this.#secret)
      .update(JSON.stringify([user, stored]))
      .digest()
    const fingerprint = digest.toString('base64')
    const known = this.#entries.get(user)
    if (known?.fingerprint === fingerprint) return known.credentials
    const credentials = this.#build(stored, digest)
    this.#entries.set(user, { fingerprint, credentials })
    return credentials
  }

  /** Drops what is known of everybody but `users`: passwords of removed users are not to stay in memory. */
  keepOnly(users: readonly string[]): void {
    const kept = new Set(users)
    for (const user of this.#entries.keys()) if (!kept.has(user)) this.#entries.delete(user)
  }

  #build(stored: string, digest: Buffer): Credentials {
    const verifier = parseVerifier(stored)
    if (verifier !== null) return { verifier, password: null }
    // The salt is public: it is derived once more, or it would give half of the fingerprint away.
    const salt = createHmac('sha256', this.#secret).update('salt').update(digest).digest().subarray(0, scramSaltBytes)
    return { verifier: buildScramVerifier(stored, salt, defaultScramIterations), password: stored }
  }
}
