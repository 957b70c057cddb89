import { md5Response } from '../auth/md5.ts'
import { ScramClient, type ScramClientVerdict } from '../auth/scram-client.ts'
import type { ScramKeyCache } from '../auth/scram-key-cache.ts'
import { readErrorFields } from '../protocol/errors.ts'
import { AUTHENTICATION, BACKEND } from '../protocol/message-type.ts'
import {
  type ErrorFields,
  writePassword,
  writeSaslInitial,
  writeSaslResponse,
  writeStartup,
} from '../protocol/messages.ts'
import { MalformedMessage, MessageReader } from '../protocol/reader.ts'
import { MessageWriter } from '../protocol/writer.ts'
import type { ServerTarget } from './server-target.ts'

/** The newest protocol we speak to servers. 3.2 is refused politely by older ones, but costs a round trip there. */
const PROTOCOL_MINOR = 0

export type LoginVerdict =
  | { readonly kind: 'wait' }
  | { readonly kind: 'send'; readonly bytes: Buffer }
  | { readonly kind: 'ready' }
  /** `fields` as the server gave them, or ours; the connection is of no use any more. */
  | { readonly kind: 'failed'; readonly fields: ErrorFields }

const WAIT: LoginVerdict = { kind: 'wait' }

export interface LoginContext {
  /** `tls-server-end-point` of the server's certificate; null without TLS. */
  readonly channelBinding: Buffer | null
  readonly nonce: string
  readonly keyCache: ScramKeyCache
}

/** What a server says of itself and of the session at login. */
export interface LoginResult {
  readonly reported: ReadonlyMap<string, string>
  readonly backendPid: number
  readonly cancelKey: Buffer
}

/**
 * Our side of a login to a shard, from the startup message to its first ReadyForQuery: bytes in, verdicts out.
 * Collects what the server reports. https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-START-UP
 */
export class ServerLogin implements LoginResult {
  readonly #target: ServerTarget
  readonly #context: LoginContext
  readonly #writer = new MessageWriter()
  readonly reported: Map<string, string> = new Map()
  backendPid = 0
  cancelKey: Buffer = Buffer.alloc(0)
  #scram: ScramClient | null = null
  /** A server that never proves itself in SCRAM may be an impostor, unless its rules ask for no proof at all. */
  #scramDone = false
  #authenticated = false

  constructor(target: ServerTarget, context: LoginContext) {
    this.#target = target
    this.#context = context
  }

  /** The startup message. Nothing of a client's packet gets into a connection that others will use (CVE-2025-12819). */
  start(): Buffer {
    const { user, database, startup } = this.#target
    writeStartup(this.#writer.reset(), PROTOCOL_MINOR, [['user', user], ['database', database], ...startup])
    return this.#writer.bytes
  }

  /** One whole message: type and body `bytes[start, end)`. */
  message(type: number, bytes: Buffer, start: number, end: number): LoginVerdict {
    try {
      return this.#message(type, bytes, start, end)
    } catch (error) {
      if (!(error instanceof MalformedMessage)) throw error
      return failed('08P01', `the server sent a malformed message ${type} during login: ${error.message}`)
    }
  }

  #message(type: number, bytes: Buffer, start: number, end: number): LoginVerdict {
    switch (type) {
      case BACKEND.authentication:
        return this.#authentication(new MessageReader(bytes, start, end))
      case BACKEND.parameterStatus: {
        const reader = new MessageReader(bytes, start, end)
        this.reported.set(reader.text(), reader.text())
        return WAIT
      }
      case BACKEND.backendKeyData: {
        const reader = new MessageReader(bytes, start, end)
        this.backendPid = reader.int32()
        this.cancelKey = Buffer.from(reader.raw(reader.remaining))
        return WAIT
      }
      case BACKEND.errorResponse:
        return { kind: 'failed', fields: readErrorFields(bytes, start, end) }
      case BACKEND.readyForQuery:
        return this.#authenticated ? { kind: 'ready' } : failed('08P01', 'the server is ready without a login')
      case BACKEND.noticeResponse:
      case BACKEND.negotiateProtocolVersion:
        return WAIT
      default:
        return failed('08P01', `the server sent message ${type} during login`)
    }
  }

  #authentication(reader: MessageReader): LoginVerdict {
    const kind = reader.int32()
    switch (kind) {
      case AUTHENTICATION.ok:
        if (this.#scram !== null && !this.#scramDone)
          return failed('28000', 'the server did not prove that it knows the password')
        this.#authenticated = true
        return WAIT
      case AUTHENTICATION.cleartext:
        return this.#password(this.#target.credential.password)
      case AUTHENTICATION.md5:
        return this.#md5(reader.raw(4))
      case AUTHENTICATION.sasl:
        return this.#saslStart(reader)
      case AUTHENTICATION.saslContinue:
        return this.#saslStep(this.#scram?.final(reader.raw(reader.remaining)))
      case AUTHENTICATION.saslFinal:
        return this.#saslStep(this.#scram?.verify(reader.raw(reader.remaining)))
      default:
        return failed('28000', `the server asks for authentication method ${kind}, which is not supported`)
    }
  }

  #password(password: string | null): LoginVerdict {
    if (password === null) return this.#noCredential('a password')
    writePassword(this.#writer.reset(), password)
    return { kind: 'send', bytes: this.#writer.bytes }
  }

  #md5(salt: Buffer): LoginVerdict {
    const { password, md5Hash } = this.#target.credential
    if (md5Hash !== null) return this.#password(md5Response({ kind: 'md5', hash: md5Hash }, this.#target.user, salt))
    if (password === null) return this.#noCredential('an MD5 password')
    return this.#password(md5Response({ kind: 'password', password }, this.#target.user, salt))
  }

  #saslStart(reader: MessageReader): LoginVerdict {
    const credential = this.#target.credential.scram
    if (credential === null) return this.#noCredential('SCRAM')
    const offered: string[] = []
    for (let name = reader.text(); name !== ''; name = reader.text()) offered.push(name)
    this.#scram = new ScramClient({
      credential,
      clientNonce: this.#context.nonce,
      offered,
      channelBinding: this.#context.channelBinding,
      keyCache: this.#context.keyCache,
    })
    const first = this.#scram.first()
    if (first.kind !== 'continue' || this.#scram.mechanism === null) return this.#saslStep(first)
    writeSaslInitial(this.#writer.reset(), this.#scram.mechanism, first.data)
    return { kind: 'send', bytes: this.#writer.bytes }
  }

  #saslStep(verdict: ScramClientVerdict | undefined): LoginVerdict {
    if (verdict === undefined) return failed('08P01', 'the server continues a SASL exchange that was not begun')
    if (verdict.kind === 'failed') return failed(verdict.sqlstate, verdict.reason)
    if (verdict.kind === 'done') {
      this.#scramDone = true
      return WAIT
    }
    writeSaslResponse(this.#writer.reset(), verdict.data)
    return { kind: 'send', bytes: this.#writer.bytes }
  }

  #noCredential(what: string): LoginVerdict {
    const { user, shard } = this.#target
    return failed(
      '28000',
      `shard "${shard.name}" asks for ${what} of user "${user}", and none is known: ` +
        "give the user a password in the configuration, or a SCRAM verifier equal to the shard's",
    )
  }
}

function failed(sqlstate: string, message: string): LoginVerdict {
  return { kind: 'failed', fields: { severity: 'FATAL', sqlstate, message } }
}
