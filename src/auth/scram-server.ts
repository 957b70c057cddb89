import type { ScramVerifier } from '../shard/plane-values.ts'
import { equalConstantTime } from './constant-time.ts'
import { hmacSha256, storedKeyOf, xorKeys } from './scram-keys.ts'
import type { ClientFirst, ScramMechanism } from './scram-messages.ts'
import { parseClientFinal, parseClientFirst, ScramViolation } from './scram-messages.ts'

/** `PG_MAX_SASL_MESSAGE_LENGTH`: a longer message is refused unread. */
export const maxSaslMessageBytes = 1024

/**
 * What to do with the client now.
 * - continue: send `data` in AuthenticationSASLContinue, then wait for its next message.
 * - done: send `data` in AuthenticationSASLFinal. `clientKey`, with the verifier's server key, logs in to a shard that
 *   has the same verifier: keep it as secret as a password.
 * - failed: end the login. `reason` and `sqlstate` are for the log. The client is told `loginFailure`
 *   whatever the reason, or the answer says which users exist.
 */
export type ScramServerVerdict =
  | { readonly kind: 'continue'; readonly data: Buffer }
  | { readonly kind: 'done'; readonly data: Buffer; readonly clientKey: Buffer }
  | { readonly kind: 'failed'; readonly reason: string; readonly sqlstate: string }

export interface ScramServerOptions {
  /** Of the user, or a `MockAccount`'s where there is none. */
  readonly verifier: ScramVerifier
  /** For the log. The user name in the client's messages is ignored, as PostgreSQL does. */
  readonly user: string
  /** 18 random bytes in base64, fresh for each exchange. */
  readonly serverNonce: string
  /** `tlsServerEndPoint` of the certificate shown to this client; null without TLS, or if it has no such hash. */
  readonly channelBinding: Buffer | null
  /** False for a mock: the same work is done, and the exchange fails at its end. */
  readonly genuine: boolean
}

/**
 * - initial: waits for client-first-message.
 * - challenged: the salt is out; waits for client-final-message.
 * - ended: done or failed; nothing more is accepted.
 */
type State =
  | { readonly name: 'initial' }
  | { readonly name: 'challenged'; readonly mechanism: ScramMechanism; readonly first: ClientFirst }
  | { readonly name: 'ended' }

/** The mechanisms to offer in AuthenticationSASL, strongest first: PLUS only where its binding can be checked. */
export function offeredMechanisms(channelBinding: Buffer | null): readonly ScramMechanism[] {
  return channelBinding === null ? ['SCRAM-SHA-256'] : ['SCRAM-SHA-256-PLUS', 'SCRAM-SHA-256']
}

/**
 * The server's side of one SCRAM-SHA-256 or SCRAM-SHA-256-PLUS exchange, with the rules of PostgreSQL's
 * `auth-scram.c`. Holds no resource: drop it when the login ends. A client that sends no initial response, which
 * PostgreSQL allows and no driver does, is refused.
 * https://www.postgresql.org/docs/current/sasl-authentication.html
 */
export class ScramServer {
  readonly #options: ScramServerOptions
  #state: State = { name: 'initial' }

  constructor(options: ScramServerOptions) {
    this.#options = options
  }

  /** `mechanism` and `clientFirst` are the two fields of SASLInitialResponse. */
  first(mechanism: string, clientFirst: Buffer): ScramServerVerdict {
    return this.#step('initial', clientFirst, (text) => this.#challenge(mechanism, text))
  }

  /** `clientFinal` is the body of SASLResponse. */
  final(clientFinal: Buffer): ScramServerVerdict {
    return this.#step('challenged', clientFinal, (text) => this.#verify(text))
  }

  #step(expected: State['name'], message: Buffer, serve: (text: string) => ScramServerVerdict): ScramServerVerdict {
    if (this.#state.name !== expected) return this.#fail(`the SCRAM message came while ${this.#state.name}`, '08P01')
    if (message.length === 0) return this.#fail('malformed SCRAM message (empty message)', '08P01')
    if (message.length > maxSaslMessageBytes) {
      return this.#fail(`the SCRAM message has ${message.length} bytes, the most is ${maxSaslMessageBytes}`, '08P01')
    }
    if (message.includes(0)) return this.#fail('malformed SCRAM message (it contains a zero byte)', '08P01')
    try {
      return serve(message.toString('latin1'))
    } catch (error) {
      if (error instanceof ScramViolation) return this.#fail(error.message, error.sqlstate)
      throw error
    }
  }

  #challenge(chosen: string, text: string): ScramServerVerdict {
    const { channelBinding } = this.#options
    const mechanism = offeredMechanisms(channelBinding).find((offered) => offered === chosen)
    if (mechanism === undefined) {
      throw new ScramViolation(
        `the client selected the SASL mechanism ${JSON.stringify(chosen)}, which was not offered`,
      )
    }
    const first = parseClientFirst(text)
    checkBindingFlag(first, mechanism, channelBinding !== null)
    this.#enter({ name: 'challenged', mechanism, first })
    return { kind: 'continue', data: Buffer.from(this.#serverFirst(first), 'latin1') }
  }

  #verify(text: string): ScramServerVerdict {
    if (this.#state.name !== 'challenged') throw new Error('ScramServer: verify without a challenge')
    const { mechanism, first } = this.#state
    const { verifier, genuine, serverNonce } = this.#options
    const final = parseClientFinal(text)
    this.#checkBindingData(final.channelBinding, mechanism, first)
    if (!equalConstantTime(Buffer.from(final.nonce, 'latin1'), Buffer.from(first.nonce + serverNonce, 'latin1'))) {
      throw new ScramViolation('invalid SCRAM response (nonce mismatch)')
    }
    const signed = `${first.bare},${this.#serverFirst(first)},${final.withoutProof}`
    const storedKey = Buffer.from(verifier.storedKey, 'base64')
    const clientKey = xorKeys(final.proof, hmacSha256(storedKey, signed))
    const signature = hmacSha256(Buffer.from(verifier.serverKey, 'base64'), signed)
    // Everything above is done for a mock as well: whether the user exists shows in no step and no time.
    const proven = equalConstantTime(storedKeyOf(clientKey), storedKey)
    if (!proven || !genuine) return this.#failProof()
    this.#enter({ name: 'ended' })
    return { kind: 'done', data: Buffer.from(`v=${signature.toString('base64')}`, 'latin1'), clientKey }
  }

  #checkBindingData(given: string, mechanism: ScramMechanism, first: ClientFirst): void {
    if (mechanism === 'SCRAM-SHA-256') {
      // The flag of the first message again, now under the signature: nobody on the way changed it.
      if (given === Buffer.from(`${first.bindingFlag},,`, 'latin1').toString('base64')) return
      throw new ScramViolation('unexpected SCRAM channel-binding attribute in client-final-message')
    }
    const hash = this.#options.channelBinding ?? Buffer.alloc(0)
    const expected = Buffer.concat([Buffer.from('p=tls-server-end-point,,', 'latin1'), hash]).toString('base64')
    if (equalConstantTime(Buffer.from(given, 'latin1'), Buffer.from(expected, 'latin1'))) return
    throw new ScramViolation(
      'SCRAM channel binding check failed: another certificate stands before the client',
      '28000',
    )
  }

  #serverFirst(first: ClientFirst): string {
    const { verifier, serverNonce } = this.#options
    return `r=${first.nonce}${serverNonce},s=${verifier.salt},i=${verifier.iterations}`
  }

  #failProof(): ScramServerVerdict {
    const { user, genuine } = this.#options
    const name = JSON.stringify(user)
    if (genuine) return this.#fail(`the password given for user ${name} is wrong`, '28P01')
    return this.#fail(`user ${name} does not exist or has no password for SCRAM`, '28P01')
  }

  #fail(reason: string, sqlstate: string): ScramServerVerdict {
    this.#enter({ name: 'ended' })
    return { kind: 'failed', reason, sqlstate }
  }

  #enter(state: State): void {
    if (this.#state.name === 'ended' && state.name !== 'ended') throw new Error('ScramServer: the exchange has ended')
    this.#state = state
  }
}

/** The GS2 header against the mechanism and what was offered: RFC 5802 §6, with PostgreSQL's SQLSTATEs. */
function checkBindingFlag(first: ClientFirst, mechanism: ScramMechanism, isPlusOffered: boolean): void {
  if (mechanism === 'SCRAM-SHA-256-PLUS') {
    if (first.bindingFlag !== 'p') {
      throw new ScramViolation('the client selected SCRAM-SHA-256-PLUS without sending channel binding data')
    }
    if (first.bindingType !== 'tls-server-end-point') {
      throw new ScramViolation(`unsupported SCRAM channel-binding type ${JSON.stringify(first.bindingType)}`)
    }
    return
  }
  if (first.bindingFlag === 'p') {
    throw new ScramViolation('the client selected SCRAM-SHA-256 but sends channel binding data')
  }
  if (first.bindingFlag === 'y' && isPlusOffered) {
    throw new ScramViolation(
      'the client supports channel binding and believes that it was not offered, which it was: somebody on the way may have removed it',
      '28000',
    )
  }
}
