import { chooseHbaRule, type HbaConnection, hbaRejection } from '../auth/hba.ts'
import { loginFailure } from '../auth/login-failure.ts'
import { NO_ACCOUNT } from '../auth/mock-account.ts'
import type { NativeBuffer } from '../io/native.ts'
import { FRONTEND, HEADER_BYTES, lengthAt } from '../protocol/message-type.ts'
import { type ErrorFields, writeAuthenticationOk, writeNegotiateProtocolVersion } from '../protocol/messages.ts'
import { parseStartup, type StartupPacket } from '../protocol/startup.ts'
import { MessageWriter } from '../protocol/writer.ts'
import type { ServerCredential } from '../server/server-target.ts'
import type { HbaMethod, UserValue } from '../shard/plane-values.ts'
import { Authentication, type AuthenticationVerdict } from './authentication.ts'
import { ClientEncryption } from './client-encryption.ts'
import { type ClientHost, FATAL } from './client-host.ts'
import type { ClientSession } from './client-session.ts'
import type { Greeting } from './greeting.ts'
import type { LoginTranscript } from './login-transcript.ts'
import { introduce } from './session-start.ts'
import { interpretStartup, type StartupRequest } from './startup.ts'

/** Longest answer to an authentication request: PostgreSQL's PG_MAX_AUTH_TOKEN_LENGTH. */
const MAX_ANSWER_BYTES = 65_000
const writer = new MessageWriter()

type Step = 'startup' | 'cancelling' | 'account' | 'proof' | 'done'

/**
 * A client from its first byte to "authenticated".
 *
 * - startup: waits for a startup packet; requests for encryption, and TLS, may come before it.
 * - cancelling: it has sent a cancel request instead, and waits for its end.
 * - account: the control process looks the user up.
 * - proof: waits for an answer to our authentication request.
 * - done: over, one way or the other.
 */
export class ClientLogin {
  readonly #host: ClientHost
  readonly #greeting: Greeting
  readonly #session: ClientSession
  readonly #encryption: ClientEncryption
  readonly #transcript: LoginTranscript
  #step: Step = 'startup'
  #authentication: Authentication | null = null
  #lookup: { cancel(): void } | null = null
  #lookedUp = false
  #startupRequest: StartupRequest | null = null

  constructor(host: ClientHost, greeting: Greeting, session: ClientSession, transcript: LoginTranscript) {
    this.#host = host
    this.#greeting = greeting
    this.#session = session
    this.#transcript = transcript
    this.#encryption = new ClientEncryption(host, session, transcript)
  }

  get handshaking(): boolean {
    return this.#step === 'startup' && this.#encryption.handshaking
  }

  /** The session is over: nobody may call back. */
  abandon(): void {
    this.#step = 'done'
    this.#lookup?.cancel()
    this.#lookup = null
  }

  /** Returns where the first unused byte is. */
  consume(source: NativeBuffer, start: number, end: number): number {
    let at = start
    while (at < end) {
      const before = at
      if (this.#step === 'startup') at = this.#startup(source, at, end)
      else if (this.#step === 'proof') at = this.#proof(source.bytes, at, end)
      else return at
      if (at === before) return at
    }
    return at
  }

  /** True when bytes may have been decrypted already. */
  handshake(): boolean {
    return this.#encryption.handshake()
  }

  #startup(source: NativeBuffer, start: number, end: number): number {
    const { limits } = this.#host.values
    const { bytes } = source
    if (this.#encryption.isHello(bytes[start])) return this.#encryption.hello(source, start, end)
    const packet = parseStartup(bytes, start, end, {
      bytes: limits.startupPacketBytes,
      parameters: limits.startupParameters,
    })
    const stop = start + packet.total
    switch (packet.kind) {
      case 'incomplete':
        return start
      case 'invalid':
        this.#host.countPlane('protocolErrors')
        this.#session.close(
          packet.message ?? 'not a PostgreSQL client',
          packet.message === null ? null : FATAL(packet.sqlstate, packet.message),
        )
        return end
      case 'ssl-request':
        return this.#encryption.request(stop, end)
      case 'gss-request':
        return this.#encryption.requestGss(stop, end)
      case 'cancel':
        this.#step = 'cancelling'
        // Whoever has seen it closed asks something new, which must not be hit (libpq: PQcancelBlocking).
        this.#host.signals.cancelByKey(packet.processId, packet.key, () => this.#session.close('cancel request', null))
        return end
      case 'startup':
        this.#request(packet)
        return stop
    }
  }

  #request(packet: StartupPacket & { kind: 'startup' }): void {
    const session = this.#session
    const verdict = interpretStartup(packet)
    if (verdict.kind === 'refused') {
      session.close(verdict.message, FATAL(verdict.sqlstate, verdict.message))
      return
    }
    const { request } = verdict
    this.#startupRequest = request
    introduce(session, request)
    if (request.negotiate) {
      writeNegotiateProtocolVersion(writer.reset(), request.minor, request.unknownOptions)
      this.#say(writer.bytes)
    }
    if (
      this.#host.refusing &&
      (this.#host.draining || !this.#host.values.consoleDatabases.includes(request.database))
    ) {
      this.#refuse(FATAL('57P03', 'the router is shutting down'))
      return
    }
    const listed = this.#host.accounts.listed(request.user)
    if (session.slot >= this.#host.values.limits.maxClients && listed?.console !== 'admin') {
      this.#refuse(FATAL('53300', 'sorry, too many clients already', 'limits.max_clients is reached'))
      return
    }
    const tlsRefusal = this.#encryption.refusal(request.user)
    if (tlsRefusal !== null) {
      this.#refuse(tlsRefusal)
      return
    }
    const connection = this.#connection(request)
    const rule = chooseHbaRule(this.#host.hba, connection)
    if (rule === null || rule.method === 'reject') {
      const refusal = hbaRejection(rule, connection)
      this.#refuse(FATAL(refusal.sqlstate, refusal.message))
      return
    }
    this.#identify(rule.method, request, listed)
  }

  #connection(request: StartupRequest): HbaConnection {
    const { link, memory } = this.#session
    const { isUnix, address } = memory
    return {
      tls: link.secure,
      unix: isUnix,
      address: isUnix ? null : address,
      database: request.database,
      user: request.user,
      replication: request.replication !== null && request.replication !== 'database',
    }
  }

  /** A user that is not listed, or listed without a secret, is looked up when there is somebody to ask. */
  #identify(method: Exclude<HbaMethod, 'reject'>, request: StartupRequest, listed: UserValue | null): void {
    const isAsked = needsSecret(method)
    const known = listed !== null && (!isAsked || listed.verifier !== null || listed.password !== null)
    if (known || !this.#host.values.authQuery || !isAsked) {
      this.#begin(method, request, listed)
      return
    }
    this.#step = 'account'
    this.#lookedUp = true
    this.#lookup = this.#host.accounts.lookUp(request.user, request.database, (account) => {
      this.#lookup = null
      if (this.#step !== 'account') return
      if (account.error !== null) {
        this.#refuse(
          FATAL('08006', 'the user cannot be looked up at the moment', 'auth.query failed: see the log'),
          account.error,
        )
        return
      }
      this.#begin(method, request, account.user)
      this.#session.resume()
    })
    if (this.#lookup === null) this.#refuse(FATAL('08006', 'the user cannot be looked up at the moment'))
  }

  #begin(method: Exclude<HbaMethod, 'reject'>, request: StartupRequest, user: UserValue | null): void {
    const { channelBinding, certificateName } = this.#encryption
    this.#authentication = new Authentication({
      method,
      userName: request.user,
      user,
      mock: needsSecret(method) ? this.#host.accounts.mock(request.user) : NO_ACCOUNT,
      channelBinding,
      certificateName,
      randomBytes: (count) => this.#transcript.random(count, (more) => this.#host.randomBytes(more)),
    })
    this.#step = 'proof'
    this.#verdict(this.#authentication.start())
  }

  #proof(bytes: Buffer, start: number, end: number): number {
    if (end - start < HEADER_BYTES) return start
    const length = lengthAt(bytes, start + 1)
    if (bytes[start] !== FRONTEND.password || length < 4 || length > MAX_ANSWER_BYTES) {
      const type = bytes[start] as number
      this.#host.countPlane('protocolErrors')
      if (type === FRONTEND.terminate) this.#session.close('client left during login', null)
      else this.#refuse(FATAL('08P01', `expected password response, got message type ${type}`))
      return end
    }
    const stop = start + 1 + length
    if (stop > end) return start
    const authentication = this.#authentication as Authentication
    this.#verdict(authentication.answer(bytes, start + HEADER_BYTES, stop))
    return stop
  }

  #verdict(verdict: AuthenticationVerdict): void {
    switch (verdict.kind) {
      case 'send':
        this.#say(verdict.bytes)
        break
      case 'failed': {
        const { method, userName } = this.#authentication as Authentication
        const refusal = loginFailure(method, userName)
        if (this.#lookedUp && this.#startupRequest)
          this.#host.accounts.refused(this.#startupRequest.user, this.#startupRequest.database)
        this.#refuse(FATAL(refusal.sqlstate, refusal.message), verdict.reason)
        break
      }
      case 'done':
        this.#passed(verdict.bytes, verdict.credential)
        break
    }
  }

  #passed(bytes: Buffer | null, credential: ServerCredential): void {
    const request = this.#startupRequest as StartupRequest
    this.#step = 'done'
    writer.reset()
    if (bytes !== null) writer.raw(bytes)
    writeAuthenticationOk(writer)
    this.#say(writer.bytes)
    this.#greeting.authenticated(request, credential)
  }

  #say(bytes: Uint8Array): void {
    if (this.#transcript.mustSay(bytes.length)) this.#session.link.send(bytes)
  }

  #refuse(fields: ErrorFields, reason: string = fields.message): void {
    this.#step = 'done'
    this.#host.countPlane(fields.sqlstate.startsWith('53') || fields.sqlstate === '57P03' ? 'refused' : 'loginFailures')
    this.#session.close(reason, fields)
  }
}

function needsSecret(method: HbaMethod): boolean {
  return method !== 'trust' && method !== 'cert'
}
