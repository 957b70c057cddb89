import { equalConstantTime } from './constant-time.ts'
import type { ScramKeyCache } from './scram-key-cache.ts'
import type { ScramKeys } from './scram-keys.ts'
import { hmacSha256, storedKeyOf, xorKeys } from './scram-keys.ts'
import type { ScramMechanism } from './scram-messages.ts'
import { parseServerFinal, parseServerFirst, ScramViolation } from './scram-messages.ts'

/**
 * What to log in with: the password, or the keys that a client's own login left behind (pass-through), which work
 * where the shard has the same verifier: salt and iterations included.
 */
export type ScramCredential =
  | { readonly kind: 'password'; readonly password: string }
  | { readonly kind: 'keys'; readonly clientKey: Buffer; readonly serverKey: Buffer }

/**
 * - continue: send `data`, then wait for the server's next message.
 * - done: the server proved that it knows the verifier. AuthenticationOk must still follow.
 * - failed: close the connection; `reason` is for the log, `sqlstate` is 28P01 or 08P01.
 */
export type ScramClientVerdict =
  | { readonly kind: 'continue'; readonly data: Buffer }
  | { readonly kind: 'done' }
  | { readonly kind: 'failed'; readonly reason: string; readonly sqlstate: string }

export interface ScramClientOptions {
  readonly credential: ScramCredential
  /** 18 random bytes in base64, fresh for each exchange. */
  readonly clientNonce: string
  /** The names in the server's AuthenticationSASL. */
  readonly offered: readonly string[]
  /** `tlsServerEndPoint` of the certificate the server showed; null without TLS, or if it has no such hash. */
  readonly channelBinding: Buffer | null
  readonly keyCache: ScramKeyCache
  /** Most rounds of PBKDF2 to do for a server; deriving blocks, 0.5 µs a round. Without effect for `keys`. */
  readonly maxIterations?: number
}

const defaultMaxIterations = 100_000

/**
 * - initial: nothing sent.
 * - greeted: client-first-message is out.
 * - proving: client-final-message is out; the server's signature must be `signature`.
 * - ended: done or failed.
 */
type State =
  | { readonly name: 'initial' }
  | { readonly name: 'greeted' }
  | { readonly name: 'proving'; readonly signature: Buffer }
  | { readonly name: 'ended' }

/** The strongest mechanism both sides can do, or null. */
export function chooseMechanism(offered: readonly string[], channelBinding: Buffer | null): ScramMechanism | null {
  if (channelBinding !== null && offered.includes('SCRAM-SHA-256-PLUS')) return 'SCRAM-SHA-256-PLUS'
  return offered.includes('SCRAM-SHA-256') ? 'SCRAM-SHA-256' : null
}

/**
 * The client's side of one exchange, for logging in to a shard, with the rules of libpq's `fe-auth-scram.c`.
 * Call `first`, `final`, `verify` in this order, and accept AuthenticationOk only after `verify` said done: a server
 * that skips its signature may be an impostor. Holds no resource.
 */
export class ScramClient {
  /** For SASLInitialResponse; null if the server offers nothing we can do, then `first` fails. */
  readonly mechanism: ScramMechanism | null
  readonly #options: ScramClientOptions
  readonly #gs2Header: string
  #state: State = { name: 'initial' }

  constructor(options: ScramClientOptions) {
    this.#options = options
    this.mechanism = chooseMechanism(options.offered, options.channelBinding)
    this.#gs2Header = gs2HeaderFor(this.mechanism, options.channelBinding)
  }

  /** Data for SASLInitialResponse, next to `mechanism`. */
  first(): ScramClientVerdict {
    return this.#step('initial', () => {
      if (this.mechanism === null) {
        throw new ScramViolation(
          `the server offers ${this.#options.offered.join(', ') || 'no SASL mechanism'}, not SCRAM-SHA-256`,
        )
      }
      this.#enter({ name: 'greeted' })
      return { kind: 'continue', data: Buffer.from(this.#gs2Header + this.#bare(), 'latin1') }
    })
  }

  /** `serverFirst` is the body of AuthenticationSASLContinue. Derives the keys: see `maxIterations`. */
  final(serverFirst: Buffer): ScramClientVerdict {
    return this.#step('greeted', () => {
      const text = serverFirst.toString('latin1')
      const { nonce, salt, iterations } = parseServerFirst(text)
      const { clientNonce } = this.#options
      if (!nonce.startsWith(clientNonce) || nonce.length === clientNonce.length) {
        throw new ScramViolation('invalid SCRAM challenge (the nonce does not continue ours)')
      }
      const keys = this.#keysFor(salt, iterations)
      const withoutProof = `c=${this.#bindingData()},r=${nonce}`
      const signed = `${this.#bare()},${text},${withoutProof}`
      const proof = xorKeys(keys.clientKey, hmacSha256(storedKeyOf(keys.clientKey), signed))
      this.#enter({ name: 'proving', signature: hmacSha256(keys.serverKey, signed) })
      return { kind: 'continue', data: Buffer.from(`${withoutProof},p=${proof.toString('base64')}`, 'latin1') }
    })
  }

  /** `serverFinal` is the body of AuthenticationSASLFinal. */
  verify(serverFinal: Buffer): ScramClientVerdict {
    return this.#step('proving', () => {
      if (this.#state.name !== 'proving') throw new Error('ScramClient: verify without a proof')
      if (!equalConstantTime(parseServerFinal(serverFinal.toString('latin1')), this.#state.signature)) {
        throw new ScramViolation(
          'the server signature is wrong: this server does not know the verifier of the user',
          '28P01',
        )
      }
      this.#enter({ name: 'ended' })
      return { kind: 'done' }
    })
  }

  #step(expected: State['name'], run: () => ScramClientVerdict): ScramClientVerdict {
    try {
      if (this.#state.name === expected) return run()
      throw new ScramViolation(`the SCRAM message came while ${this.#state.name}`)
    } catch (error) {
      if (!(error instanceof ScramViolation)) throw error
      this.#enter({ name: 'ended' })
      return { kind: 'failed', reason: error.message, sqlstate: error.sqlstate }
    }
  }

  #keysFor(salt: Buffer, iterations: number): ScramKeys {
    const { credential, keyCache, maxIterations = defaultMaxIterations } = this.#options
    if (credential.kind === 'keys') return credential
    if (iterations > maxIterations) {
      throw new ScramViolation(
        `the server asks for ${iterations} SCRAM iterations, the most is ${maxIterations}: lower its scram_iterations and set the password again`,
      )
    }
    return keyCache.keysFor(credential.password, salt, iterations)
  }

  #bare(): string {
    return `n=,r=${this.#options.clientNonce}`
  }

  #bindingData(): string {
    const header = Buffer.from(this.#gs2Header, 'latin1')
    const { channelBinding } = this.#options
    const isBound = this.mechanism === 'SCRAM-SHA-256-PLUS' && channelBinding !== null
    return (isBound ? Buffer.concat([header, channelBinding]) : header).toString('base64')
  }

  #enter(state: State): void {
    if (this.#state.name === 'ended' && state.name !== 'ended') throw new Error('ScramClient: the exchange has ended')
    this.#state = state
  }
}

function gs2HeaderFor(mechanism: ScramMechanism | null, channelBinding: Buffer | null): string {
  if (mechanism === 'SCRAM-SHA-256-PLUS') return 'p=tls-server-end-point,,'
  // "y": we could have, but you did not offer it. A server that did will know that somebody removed the offer.
  return channelBinding === null ? 'n,,' : 'y,,'
}
