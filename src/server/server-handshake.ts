import type { Link } from '../io/link.ts'
import { stepHandshake } from '../io/link-tls.ts'
import { READ_HEADROOM } from '../io/read-buffers.ts'
import { TlsChannel } from '../io/tls-channel.ts'
import { HEADER_BYTES, lengthAt } from '../protocol/message-type.ts'
import { type ErrorFields, writeSslRequest } from '../protocol/messages.ts'
import { MessageWriter } from '../protocol/writer.ts'
import type { ServerHost } from './server-host.ts'
import { ServerLogin } from './server-login.ts'
import type { ServerTarget } from './server-target.ts'

const TLS_ACCEPTED = 0x53
const TLS_REFUSED = 0x4e

/** Who is told how a handshake ends. */
export interface HandshakeOwner {
  readonly link: Link
  /** `version/cipher`. */
  onSecured(tls: string): void
  onLoggedIn(login: ServerLogin): void
  /** `fields`: the server's own words, if it had any. */
  onRefused(reason: string, fields: ErrorFields | null): void
}

const writer = new MessageWriter()

type Step = 'asking' | 'securing' | 'login' | 'over'

/**
 * From an open socket to a logged-in server connection.
 *
 * - asking: the answer to our TLS request is due, one byte.
 * - securing: TLS handshake.
 * - login: startup message, authentication, what the server reports.
 * - over: one way or the other.
 */
export class ServerHandshake {
  readonly #host: ServerHost
  readonly #owner: HandshakeOwner
  readonly #target: ServerTarget
  #step: Step = 'login'
  #login: ServerLogin | null = null

  constructor(host: ServerHost, owner: HandshakeOwner, target: ServerTarget) {
    this.#host = host
    this.#owner = owner
    this.#target = target
  }

  /** Bytes from the socket are TLS's: call `secure`, not `consume`. */
  get securing(): boolean {
    return this.#step === 'securing'
  }

  /** Says the first word. TLS is not for Unix sockets. */
  start(): void {
    if (this.#host.serverTls.mode === 'disable' || this.#target.shard.address?.startsWith('/')) {
      this.#startLogin(null)
      return
    }
    this.#step = 'asking'
    writeSslRequest(writer.reset())
    this.#send(writer.bytes)
  }

  /** Takes the TLS handshake as far as it goes. */
  secure(): void {
    const { link } = this.#owner
    const step = stepHandshake(link)
    if (step === 'failed') this.#refuse(link.failure, null)
    if (step !== 'done') return
    const channel = link.stream.channel as TlsChannel
    // The channel may be of no more use once its records are somebody else's.
    const channelBinding = channel.peerCertificate()?.hash ?? null
    this.#owner.onSecured(`${channel.version}/${channel.cipher}`)
    this.#startLogin(channelBinding)
  }

  /** `host.inbound.bytes[start, end)`; whole messages only: returns where the first unused byte is. */
  consume(start: number, end: number): number {
    if (this.#step === 'asking') {
      this.#answer(start, end)
      return end
    }
    const { bytes } = this.#host.inbound
    let at = start
    while (this.#step === 'login' && this.#login !== null && end - at >= HEADER_BYTES) {
      const length = lengthAt(bytes, at + 1)
      if (length < 4 || length > READ_HEADROOM - HEADER_BYTES) {
        this.#refuse('the server sent an impossible message during login', null)
        return end
      }
      if (end - at < length + 1) return at
      this.#message(this.#login, at, length)
      at += 1 + length
    }
    return at
  }

  #message(login: ServerLogin, at: number, length: number): void {
    const { bytes } = this.#host.inbound
    const verdict = login.message(bytes[at] as number, bytes, at + HEADER_BYTES, at + 1 + length)
    switch (verdict.kind) {
      case 'wait':
        break
      case 'send':
        this.#send(verdict.bytes)
        break
      case 'failed':
        this.#refuse(`login failed: ${verdict.fields.message}`, verdict.fields)
        break
      case 'ready':
        this.#step = 'over'
        this.#owner.onLoggedIn(login)
        break
    }
  }

  /** One byte, and nothing may follow it: what did would be taken for TLS (CVE-2021-23222). */
  #answer(start: number, end: number): void {
    const answer = end === start + 1 ? this.#host.inbound.bytes[start] : undefined
    const { mode, context } = this.#host.serverTls
    if (answer === TLS_ACCEPTED && context !== null) {
      this.#step = 'securing'
      this.#owner.link.stream.secureWith(
        new TlsChannel(context, { serverName: this.#target.shard.host }),
        this.#host.inbound,
        end,
        end,
      )
      this.secure()
    } else if (answer === TLS_REFUSED && mode === 'prefer') this.#startLogin(null)
    else if (answer === TLS_REFUSED) this.#refuse('the shard does not offer TLS, and server_tls.mode demands it', null)
    else this.#refuse('unexpected answer to the TLS request', null)
  }

  #startLogin(channelBinding: Buffer | null): void {
    this.#step = 'login'
    const nonce = this.#host.randomBytes(18).toString('base64')
    this.#login = new ServerLogin(this.#target, { channelBinding, nonce, keyCache: this.#host.scramKeys })
    this.#send(this.#login.start())
  }

  #send(bytes: Buffer): void {
    if (!this.#owner.link.send(bytes)) this.#refuse(this.#owner.link.failure, null)
  }

  #refuse(reason: string, fields: ErrorFields | null): void {
    this.#step = 'over'
    this.#owner.onRefused(reason, fields)
  }
}
