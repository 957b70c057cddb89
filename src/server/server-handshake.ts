import type { Link } from '../io/link.ts'
import { READ_HEADROOM } from '../io/read-buffers.ts'
import { HEADER_BYTES, lengthAt } from '../protocol/message-type.ts'
import type { ErrorFields } from '../protocol/messages.ts'
import type { ServerHost } from './server-host.ts'
import { ServerLogin } from './server-login.ts'
import type { ServerTarget } from './server-target.ts'
import { type TlsProgress, TlsRequest } from './tls-request.ts'

/** Who is told how a handshake ends. */
export interface HandshakeOwner {
  readonly link: Link
  /** `version/cipher`. */
  onSecured(tls: string): void
  onLoggedIn(login: ServerLogin): void
  /** `fields`: the server's own words, if it had any. */
  onRefused(reason: string, fields: ErrorFields | null): void
}

type Step = 'securing' | 'login' | 'over'

/**
 * From an open socket to a logged-in server connection.
 *
 * - securing: TLS, where it is used: `TlsRequest`.
 * - login: startup message, authentication, what the server reports.
 * - over: one way or the other.
 */
export class ServerHandshake {
  readonly #host: ServerHost
  readonly #owner: HandshakeOwner
  readonly #target: ServerTarget
  readonly #tls: TlsRequest
  #step: Step = 'securing'
  #login: ServerLogin | null = null

  constructor(host: ServerHost, owner: HandshakeOwner, target: ServerTarget) {
    this.#host = host
    this.#owner = owner
    this.#target = target
    this.#tls = new TlsRequest(host, owner.link, target.shard)
  }

  /** Bytes from the socket are TLS's: call `secure`, not `consume`. */
  get securing(): boolean {
    return this.#tls.securing
  }

  /** Says the first word. */
  start(): void {
    this.#progress(this.#tls.start())
  }

  /** Takes the TLS handshake as far as it goes. */
  secure(): void {
    this.#progress(this.#tls.secure())
  }

  /** `host.inbound.bytes[start, end)`; whole messages only: returns where the first unused byte is. */
  consume(start: number, end: number): number {
    if (this.#tls.asking) {
      this.#progress(this.#tls.answer(start, end))
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

  #progress(progress: TlsProgress): void {
    if (progress.kind === 'failed') this.#refuse(progress.reason, null)
    if (progress.kind !== 'open') return
    const { channel } = progress
    // The channel may be of no more use once its records are somebody else's.
    const channelBinding = channel?.peerCertificate()?.hash ?? null
    if (channel !== null) this.#owner.onSecured(`${channel.version}/${channel.cipher}`)
    this.#startLogin(channelBinding)
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
