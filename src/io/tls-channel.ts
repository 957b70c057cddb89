import { RouterError } from '../errors.ts'
import type { NativeBuffer } from './native.ts'
import { clearErrors, openssl, takeErrors } from './openssl.ts'
import { cipherName, hasVerifiedPeer, peerCertificate, selectedProtocol } from './tls-agreement.ts'
import type { TlsPeerCertificate } from './tls-certificates.ts'
import { nextTlsChannelState, type TlsChannelEvent, type TlsChannelState } from './tls-channel-state.ts'
import { prepareClient, type TlsClientOptions } from './tls-client.ts'
import type { TlsContext, TlsRole } from './tls-context.ts'
import { describeTlsFailure } from './tls-failure.ts'
import { TlsHandshakeSecrets } from './tls-handshake-secrets.ts'
import { TlsPipe } from './tls-pipe.ts'
import type { TlsTraffic } from './tls-session.ts'

/** `read`: the peer closed its direction in good order, nothing more will come. */
export const TLS_CLOSED = -1
/** `read`: the connection is lost, `failure` says why. */
export const TLS_FAILED = -2

const SSL_ERROR_WANT_READ = 2
const SSL_ERROR_ZERO_RETURN = 6
const SSL_SENT_SHUTDOWN = 1

/**
 * One TLS connection over somebody else's socket: ciphertext goes in with `feed` and comes out with `drain`, plaintext
 * comes out with `read` and goes in with `write`. No call blocks, and none allocates once the handshake is done.
 * After `handshake`, `read`, `write` and `shutdown` there may be ciphertext to send: `pendingCiphertext()`.
 *
 * A channel that is done with must be freed by its owner, or the memory of OpenSSL leaks; after that every call throws.
 */
export class TlsChannel {
  readonly role: TlsRole
  readonly #serverName: string | undefined
  readonly #pipe = new TlsPipe()
  /** Null: the records stay OpenSSL's. */
  readonly #secrets: TlsHandshakeSecrets | null
  #ssl: number
  #state: TlsChannelState = 'handshaking'
  #failure: string | null = null
  /** No plaintext will come before the next `feed`. */
  #starved = true
  #inputEnded = false

  /** @throws ConfigError if the context checks names and there is none, or it is no name */
  constructor(context: TlsContext, options: TlsClientOptions = {}) {
    this.role = context.role
    this.#serverName = options.serverName
    this.#secrets = context.logsKeys ? new TlsHandshakeSecrets() : null
    clearErrors()
    this.#ssl = openssl.SSL_new(context.address)
    if (this.#ssl === 0) throw new Error(`SSL_new: ${takeErrors().join('; ')}`)
    this.#pipe.attach(this.#ssl)
    try {
      if (context.role === 'server') openssl.SSL_set_accept_state(this.#ssl)
      else prepareClient(this.#ssl, context.verifiesName, options)
    } catch (error) {
      this.free()
      throw error
    }
  }

  /** Takes the handshake as far as the bytes go. `failed` is for good, see `failure`. */
  handshake(): 'done' | 'want-read' | 'failed' {
    const ssl = this.#live()
    if (this.#state === 'failed') return 'failed'
    if (this.#state !== 'handshaking') return 'done'
    this.#pipe.enter()
    clearErrors()
    this.#secrets?.enter()
    const result = openssl.SSL_do_handshake(ssl)
    this.#secrets?.leave()
    this.#pipe.mayHaveWritten()
    if (result === 1) {
      this.#enter('established')
      return 'done'
    }
    const error = openssl.SSL_get_error(ssl, result)
    if (error === SSL_ERROR_WANT_READ && !this.#inputEnded) return 'want-read'
    if (error === SSL_ERROR_WANT_READ || error === SSL_ERROR_ZERO_RETURN) {
      this.#fail(`The ${this.#peer} closed the connection during the TLS handshake.`)
    } else this.#fail(describeTlsFailure(ssl, this.role, this.#serverName))
    return 'failed'
  }

  /**
   * Hands over what was received.
   * @returns how many of the bytes were taken: all, unless more than `INBOUND_LIMIT` wait because nobody reads
   */
  feed(source: NativeBuffer, start: number, end: number): number {
    this.#live()
    checkRange(source, start, end)
    if (this.#state === 'failed' || this.#state === 'peer-closed') return end - start
    const taken = this.#pipe.feed(source.address + start, end - start)
    if (taken > 0) this.#starved = false
    return taken
  }

  /** The socket has nothing more: without a close_notify before it, that is a truncated connection. */
  feedEnd(): void {
    this.#live()
    this.#inputEnded = true
  }

  /**
   * Plaintext into `target`, as much as there is and fits.
   * @returns how many bytes; 0: feed more; `TLS_CLOSED`; `TLS_FAILED`
   */
  read(target: NativeBuffer, offset: number, max: number): number {
    const ssl = this.#live()
    checkRange(target, offset, offset + max)
    if (this.#state !== 'open') return this.#readEnded()
    if (this.#starved) return this.#inputEnded ? this.#truncated() : 0
    this.#pipe.enter()
    clearErrors()
    let total = 0
    while (total < max) {
      const bytes = openssl.SSL_read(ssl, target.address + offset + total, max - total)
      // A record may have been one that must be answered, such as a key update.
      this.#pipe.mayHaveWritten()
      if (bytes <= 0) {
        this.#stopReading(ssl, bytes)
        if (total > 0) return total
        if (this.#state !== 'open') return this.#readEnded()
        return this.#inputEnded ? this.#truncated() : 0
      }
      total += bytes
      // OpenSSL gives one record at a time and never reads ahead: a record used up and no more input is the end.
      if (total < max && this.#pipe.inboundIsEmpty()) {
        this.#starved = true
        break
      }
    }
    return total
  }

  /**
   * Encrypts all of it; to be sent with `drain`. Give it pieces of at most 64 KB: the ciphertext of one call is in memory
   * at once.
   * @throws RouterError if the connection has failed
   */
  write(source: NativeBuffer, start: number, end: number): void {
    const ssl = this.#live()
    checkRange(source, start, end)
    if (this.#state === 'handshaking') throw new Error('A TLS channel cannot write before its handshake is done.')
    if (this.#state === 'failed') throw this.#lost()
    this.#pipe.enter()
    clearErrors()
    let at = start
    while (at < end) {
      const bytes = openssl.SSL_write(ssl, source.address + at, end - at)
      this.#pipe.mayHaveWritten()
      if (bytes <= 0) {
        this.#fail(describeTlsFailure(ssl, this.role, this.#serverName))
        throw this.#lost()
      }
      at += bytes
    }
  }

  /** Bytes that wait to be sent. */
  pendingCiphertext(): number {
    this.#live()
    return this.#pipe.pendingOutbound()
  }

  /** Moves up to `max` bytes that are to be sent into `target`; how many. */
  drain(target: NativeBuffer, offset: number, max: number): number {
    this.#live()
    checkRange(target, offset, offset + max)
    const moved = this.#pipe.drain(target.address + offset, max)
    this.#secrets?.noteSent(target.bytes, offset, offset + moved)
    return moved
  }

  /** Changes our key with the next record, and has the peer change its own if `both`. TLS 1.3 only. */
  updateKey(both: boolean): void {
    if (openssl.SSL_key_update(this.#live(), both ? 1 : 0) !== 1) throw new Error(takeErrors().join('; '))
  }

  /**
   * What it takes to go on without OpenSSL, when the handshake is done and has left and nothing was read or written:
   * `early` is what was fed and not used. Null when it cannot be gone on with. The channel is of no more use.
   */
  handOver(): { readonly traffic: TlsTraffic; readonly early: Buffer } | null {
    const ssl = this.#live()
    if (this.#state !== 'open' || this.#secrets === null || this.#pipe.pendingOutbound() > 0) return null
    const traffic = this.#secrets.traffic(ssl, this.role)
    return traffic === null ? null : { traffic, early: this.#pipe.takeInbound() }
  }

  /** Says that we will write no more (close_notify). Does nothing before the handshake, after a failure or twice. */
  shutdown(): void {
    const ssl = this.#live()
    if (this.#state !== 'open' && this.#state !== 'peer-closed') return
    if ((openssl.SSL_get_shutdown(ssl) & SSL_SENT_SHUTDOWN) !== 0) return
    this.#pipe.enter()
    clearErrors()
    openssl.SSL_shutdown(ssl)
    this.#pipe.mayHaveWritten()
  }

  get state(): TlsChannelState {
    return this.#state
  }

  /** Why the channel failed, as a sentence; null while it has not. */
  get failure(): string | null {
    return this.#failure
  }

  /** `TLSv1.3`, as in `pg_stat_ssl`. */
  get version(): string {
    return openssl.SSL_get_version(this.#live())
  }

  /** OpenSSL's name of the cipher suite, as in `pg_stat_ssl`; empty before one is agreed. */
  get cipher(): string {
    return cipherName(this.#live())
  }

  /** Whether the peer showed a certificate that leads to a trusted CA (and is for `serverName`, where checked). */
  get verified(): boolean {
    return hasVerifiedPeer(this.#live())
  }

  /** The protocol agreed by ALPN, if both sides used it. */
  get alpnSelected(): string | null {
    return selectedProtocol(this.#live())
  }

  peerCertificate(): TlsPeerCertificate | null {
    return peerCertificate(this.#live())
  }

  /** Gives everything back. A second call does nothing. */
  free(): void {
    if (this.#state === 'freed') return
    this.#enter('freed')
    this.#secrets?.wipe()
    this.#pipe.release()
    openssl.SSL_free(this.#ssl)
    this.#ssl = 0
  }

  get #peer(): string {
    return this.role === 'server' ? 'client' : 'server'
  }

  #live(): number {
    if (this.#ssl === 0) throw new Error('This TLS channel was freed.')
    return this.#ssl
  }

  #enter(event: TlsChannelEvent): void {
    const state = nextTlsChannelState[this.#state][event]
    if (state === undefined) throw new Error(`TLS channel: ${event} while ${this.#state}`)
    this.#state = state
  }

  #fail(failure: string): void {
    this.#enter('failed')
    this.#failure = failure
  }

  #lost(): RouterError {
    const origin = this.role === 'server' ? 'client' : 'server'
    return new RouterError('08006', this.#failure ?? 'The TLS connection is lost.', { origin })
  }

  #stopReading(ssl: number, result: number): void {
    const error = openssl.SSL_get_error(ssl, result)
    if (error === SSL_ERROR_WANT_READ) this.#starved = true
    else if (error === SSL_ERROR_ZERO_RETURN) this.#enter('peerClosed')
    else this.#fail(describeTlsFailure(ssl, this.role, this.#serverName))
  }

  #readEnded(): number {
    if (this.#state === 'handshaking') throw new Error('A TLS channel cannot read before its handshake is done.')
    return this.#state === 'peer-closed' ? TLS_CLOSED : TLS_FAILED
  }

  #truncated(): number {
    this.#fail(`The ${this.#peer} closed the connection without saying so in TLS (no close_notify).`)
    return TLS_FAILED
  }
}

function checkRange(buffer: NativeBuffer, start: number, end: number): void {
  if (start >= 0 && start <= end && end <= buffer.size) return
  throw new RangeError(`bytes ${start} to ${end} of a buffer of ${buffer.size}`)
}
