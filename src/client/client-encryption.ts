import { stepHandshake } from '../io/link-tls.ts'
import type { NativeBuffer } from '../io/native.ts'
import { TlsChannel } from '../io/tls-channel.ts'
import type { TlsContext } from '../io/tls-context.ts'
import { TlsSession } from '../io/tls-session.ts'
import type { ErrorFields } from '../protocol/messages.ts'
import { holdsTlsRecord, TLS_HANDSHAKE_BYTE } from '../protocol/startup.ts'
import { type ClientHost, FATAL } from './client-host.ts'
import type { ClientSession } from './client-session.ts'
import type { LoginTranscript } from './login-transcript.ts'

type Step = 'plain' | 'refused' | 'granted' | 'handshake' | 'encrypted'

/**
 * Whether a client that logs in is encrypted. It asks with an SSLRequest, or begins with TLS at once.
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL
 *
 * - plain: has not asked.
 * - refused: has asked and may go on without.
 * - granted: has asked, and may begin with TLS.
 * - handshake: TLS, direct or asked for.
 * - encrypted.
 *
 * The handshake begins when the client's first record is whole. Until our answer to that counts, nothing of TLS has left, so
 * another process can go on from the record.
 */
export class ClientEncryption {
  readonly #host: ClientHost
  readonly #session: ClientSession
  readonly #transcript: LoginTranscript
  #step: Step
  #isDirect = false

  constructor(host: ClientHost, session: ClientSession, transcript: LoginTranscript) {
    this.#host = host
    this.#session = session
    this.#transcript = transcript
    if (session.memory.isTls) this.#step = 'encrypted'
    else this.#step = transcript.isGranted ? 'granted' : 'plain'
  }

  get handshaking(): boolean {
    return this.#step === 'handshake'
  }

  /** The common name of the client's certificate, if it showed one that was verified. */
  get certificateName(): string | null {
    return this.#transcript.certificateName
  }

  /** What a proof can be bound to: the hash of our certificate; null without TLS. */
  get channelBinding(): Buffer | null {
    return this.#session.link.secure ? (this.#host.clientTls.context?.certificateHash ?? null) : null
  }

  /** Where a startup packet could begin is TLS, of which this is the first byte: asked for, or direct. */
  isHello(first: number | undefined): boolean {
    return this.#step === 'granted' || (first === TLS_HANDSHAKE_BYTE && this.#step === 'plain')
  }

  /** `source[start, end)` is the beginning of the handshake. Returns where the first unused byte is. */
  hello(source: NativeBuffer, start: number, end: number): number {
    const context = this.#context
    if (context === null) {
      this.#session.close('TLS is not configured', null)
      return end
    }
    if (!holdsTlsRecord(source.bytes, start, end)) return start
    this.#isDirect = this.#step === 'plain'
    this.#session.link.stream.secureWith(new TlsChannel(context), source, start, end)
    this.#step = 'handshake'
    return end
  }

  /** Answers an SSLRequest, behind which the bytes from `stop` to `end` came. Returns where the first unused one is. */
  request(stop: number, end: number): number {
    const { link } = this.#session
    if (this.#step !== 'plain') {
      this.#session.close('second TLS request', FATAL('08P01', 'received a second SSL request'))
      return end
    }
    if (this.#context === null) {
      this.#step = 'refused'
      return this.#deny(stop, end, 'SSL request')
    }
    if (this.#hasMore(stop, end, 'SSL request')) return end
    if (this.#transcript.mustSay(1)) link.send(Buffer.from('S'))
    this.#transcript.granted()
    this.#step = 'granted'
    return end
  }

  /** Answers a GSSENCRequest, always with no, as `request` does. */
  requestGss(stop: number, end: number): number {
    return this.#deny(stop, end, 'GSSAPI encryption request')
  }

  #deny(stop: number, end: number, request: string): number {
    // In a login that is gone through once more, bytes from behind our answer follow at once.
    if (!this.#transcript.mustSay(1)) return stop
    this.#session.link.send(Buffer.from('N'))
    return this.#hasMore(stop, end, request) ? end : stop
  }

  /**
   * Who asked for encryption waits for the answer. What came behind the request all the same, somebody on the way may have
   * put in (CVE-2021-23214): it ends the session.
   */
  #hasMore(stop: number, end: number, request: string): boolean {
    if (stop === end) return false
    this.#session.close(
      `unencrypted bytes after the ${request}`,
      FATAL('08P01', `received unencrypted data after ${request}`),
    )
    return true
  }

  /** True when bytes may have been decrypted already. */
  handshake(): boolean {
    const { link } = this.#session
    const step = stepHandshake(link)
    if (step === 'pending') return false
    if (step === 'failed') {
      this.#session.close(`TLS handshake failed: ${link.failure}`, null)
      return false
    }
    const channel = link.stream.channel as TlsChannel
    if (this.#isDirect && channel.alpnSelected !== 'postgresql') {
      this.#session.close(
        'direct TLS connection without ALPN',
        FATAL('08P01', 'direct SSL connection without ALPN protocol "postgresql"'),
      )
      return false
    }
    this.#transcript.secured(channel.verified ? (channel.peerCertificate()?.commonName ?? null) : null)
    const { memory } = this.#session
    memory.flag('tls')
    memory.text('tls', `${channel.version}/${channel.cipher}`)
    this.#step = 'encrypted'
    link.stream.carryOn(new TlsSession(this.#host.clientTlsRecords, this.#session.slot, this.#host.arena))
    return true
  }

  /** Why this user may not come in the way it came; null when it may. Nobody demands TLS on a Unix socket. */
  refusal(user: string): ErrorFields | null {
    const { mode } = this.#host.clientTls
    if (this.#session.memory.isUnix || mode === 'disable' || mode === 'allow') return null
    if (!this.#session.link.secure)
      return FATAL('28000', 'this router accepts TLS connections only', 'use sslmode=require or better')
    if (mode !== 'verify-full' || this.certificateName === user) return null
    return FATAL('28000', `the client certificate is not for user "${user}"`)
  }

  /** Null: this client cannot be encrypted. */
  get #context(): TlsContext | null {
    const { mode, context } = this.#host.clientTls
    return mode === 'disable' || this.#session.memory.isUnix ? null : context
  }
}
