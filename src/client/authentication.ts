import { verifyCleartext } from '../auth/cleartext.ts'
import { type Md5Credential, verifyMd5 } from '../auth/md5.ts'
import type { MockAccount } from '../auth/mock-account.ts'
import type { ScramCredential } from '../auth/scram-client.ts'
import { offeredMechanisms, ScramServer, type ScramServerVerdict } from '../auth/scram-server.ts'
import {
  writeAuthenticationCleartext,
  writeAuthenticationMd5,
  writeAuthenticationSasl,
  writeAuthenticationSaslContinue,
  writeAuthenticationSaslFinal,
} from '../protocol/messages.ts'
import { MalformedMessage, MessageReader } from '../protocol/reader.ts'
import { MessageWriter } from '../protocol/writer.ts'
import type { ServerCredential } from '../server/server-target.ts'
import type { HbaMethod, UserValue } from '../shard/plane-values.ts'

export type AuthenticationVerdict =
  | { readonly kind: 'send'; readonly bytes: Buffer }
  /** `bytes` go out before AuthenticationOk. `credential`: what logs in to shards in this user's name. */
  | { readonly kind: 'done'; readonly bytes: Buffer | null; readonly credential: ServerCredential }
  /** `reason` is for the log; the client is told the same whatever it is. */
  | { readonly kind: 'failed'; readonly reason: string }

/** Who wants to log in, by which method, and what is known of it. */
export interface AuthenticationContext {
  readonly method: Exclude<HbaMethod, 'reject'>
  readonly userName: string
  /** Null: no such user; the same is done with `mock`, and it fails at the end. */
  readonly user: UserValue | null
  readonly mock: MockAccount
  /** Hash of the certificate we showed, for channel binding; null without TLS. */
  readonly channelBinding: Buffer | null
  /** The client's verified certificate's common name. */
  readonly certificateName: string | null
  randomBytes(count: number): Buffer
}

/**
 * How one client proves who it is: `start`, then `answer` for each of its messages of type `p`, until done or failed.
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-START-UP
 */
export class Authentication {
  readonly #context: AuthenticationContext
  readonly #writer = new MessageWriter()
  readonly #md5Salt: Buffer
  readonly #scram: ScramServer
  #step: 'password' | 'md5' | 'sasl-first' | 'sasl-final' = 'password'

  constructor(context: AuthenticationContext) {
    this.#context = context
    this.#md5Salt = context.randomBytes(4)
    const { user, userName, mock } = context
    const verifier = user?.verifier?.kind === 'scram-sha-256' ? user.verifier : null
    this.#scram = new ScramServer({
      verifier: verifier ?? mock.scram,
      user: userName,
      serverNonce: context.randomBytes(18).toString('base64'),
      channelBinding: context.channelBinding,
      genuine: verifier !== null,
    })
  }

  get method(): HbaMethod {
    return this.#context.method
  }

  get userName(): string {
    return this.#context.userName
  }

  start(): AuthenticationVerdict {
    const { method, userName, certificateName } = this.#context
    const writer = this.#writer.reset()
    switch (method) {
      case 'trust':
        return this.#done(null, null)
      case 'cert':
        if (certificateName === userName) return this.#done(null, null)
        return { kind: 'failed', reason: `the client certificate is for ${JSON.stringify(certificateName)}` }
      case 'password':
        this.#step = 'password'
        writeAuthenticationCleartext(writer)
        return { kind: 'send', bytes: writer.bytes }
      case 'md5':
        // As PostgreSQL: a user with a SCRAM verifier is asked for SCRAM under `md5` too.
        if (this.#asksForMd5) {
          this.#step = 'md5'
          writeAuthenticationMd5(writer, this.#md5Salt)
          return { kind: 'send', bytes: writer.bytes }
        }
        return this.#offerScram()
      case 'scram-sha-256':
        return this.#offerScram()
    }
  }

  /** The body of a message of type `p` at `bytes[start, end)`. */
  answer(bytes: Buffer, start: number, end: number): AuthenticationVerdict {
    try {
      return this.#answer(new MessageReader(bytes, start, end))
    } catch (error) {
      if (error instanceof MalformedMessage) return { kind: 'failed', reason: error.message }
      throw error
    }
  }

  #answer(reader: MessageReader): AuthenticationVerdict {
    switch (this.#step) {
      case 'password':
        return this.#cleartext(reader.text())
      case 'md5':
        return this.#md5(reader.text())
      case 'sasl-first': {
        const mechanism = reader.text()
        const length = reader.int32()
        return this.#sasl(this.#scram.first(mechanism, reader.raw(length < 0 ? 0 : length)))
      }
      case 'sasl-final':
        return this.#sasl(this.#scram.final(reader.raw(reader.remaining)))
    }
  }

  get #asksForMd5(): boolean {
    const { user, mock } = this.#context
    if (user === null || (user.verifier === null && user.password === null)) return mock.asksForMd5
    return user.verifier?.kind === 'md5' || user.password !== null
  }

  #offerScram(): AuthenticationVerdict {
    this.#step = 'sasl-first'
    writeAuthenticationSasl(this.#writer, offeredMechanisms(this.#context.channelBinding))
    return { kind: 'send', bytes: this.#writer.bytes }
  }

  #sasl(verdict: ScramServerVerdict): AuthenticationVerdict {
    const writer = this.#writer.reset()
    switch (verdict.kind) {
      case 'continue':
        this.#step = 'sasl-final'
        writeAuthenticationSaslContinue(writer, verdict.data)
        return { kind: 'send', bytes: writer.bytes }
      case 'done':
        writeAuthenticationSaslFinal(writer, verdict.data)
        return this.#done(writer.bytes, verdict.clientKey)
      case 'failed':
        return { kind: 'failed', reason: verdict.reason }
    }
  }

  #cleartext(password: string): AuthenticationVerdict {
    const { user, userName, mock } = this.#context
    const credential =
      user !== null && user.verifier !== null
        ? user.verifier
        : user !== null && user.password !== null
          ? ({ kind: 'password', password: user.password } as const)
          : null
    const right = verifyCleartext(password, credential ?? mock.cleartext, userName, credential !== null)
    if (!right) return { kind: 'failed', reason: 'the password is wrong, or the user has none' }
    return this.#done(null, null, password)
  }

  #md5(response: string): AuthenticationVerdict {
    const { user, userName, mock } = this.#context
    const verifier = user?.verifier ?? null
    const password = user?.password ?? null
    const credential: Md5Credential | null =
      verifier?.kind === 'md5' ? verifier : password === null ? null : { kind: 'password', password }
    const standIn: Md5Credential = mock.cleartext.kind === 'md5' ? mock.cleartext : { kind: 'password', password: '' }
    const right = verifyMd5(response, credential ?? standIn, userName, this.#md5Salt, credential !== null)
    if (right) return this.#done(null, null)
    return { kind: 'failed', reason: 'the MD5 password is wrong, or the user has none' }
  }

  #done(bytes: Buffer | null, clientKey: Buffer | null, typed: string | null = null): AuthenticationVerdict {
    const { user } = this.#context
    const password = user?.password ?? typed
    const verifier = user?.verifier ?? null
    let scram: ScramCredential | null = null
    if (password !== null) scram = { kind: 'password', password }
    else if (clientKey !== null && verifier?.kind === 'scram-sha-256') {
      scram = { kind: 'keys', clientKey, serverKey: Buffer.from(verifier.serverKey, 'base64') }
    }
    return {
      kind: 'done',
      bytes,
      credential: { scram, password, md5Hash: verifier?.kind === 'md5' ? verifier.hash : null },
    }
  }
}
