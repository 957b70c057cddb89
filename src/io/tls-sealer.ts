import { NativeBuffer } from './native.ts'
import { CONTENT, MOST_PLAINTEXT_BYTES, RecordCipher, recordOverhead } from './record-cipher.ts'
import { TLS13, type TlsSuite } from './tls-key-schedule.ts'
import type { Direction, TlsSession } from './tls-session.ts'

/** Type of the handshake message that changes the sender's key: https://www.rfc-editor.org/rfc/rfc8446#section-4.6.3 */
export const KEY_UPDATE = 24
/**
 * Records after which we change our key: AES-GCM is safe for 2^24.5 full ones (https://www.rfc-editor.org/rfc/rfc8446#section-5.5).
 * In TLS 1.2 keys cannot be changed, and nobody does.
 */
const RECORDS_BEFORE_UPDATE = 2 ** 24
/** What one connection may have sealed before it drains: a piece of 64 KB and some messages of its own. */
const MOST_SEALED_BYTES = 6 * 16_384

/** Sealed and not yet drained, of `writer`: whoever seals drains before anybody else seals. */
const sealed = NativeBuffer.allocate(MOST_SEALED_BYTES)
let writer: TlsSealer | null = null
let first = 0
let end = 0

/** Alerts and handshake messages. */
const message = NativeBuffer.allocate(8)

/** The cipher of a direction's present key. Whoever takes it frees it. */
export function cipherOf(session: TlsSession, suite: TlsSuite, direction: Direction): RecordCipher {
  const secret = session.secret(direction)
  const cipher = new RecordCipher(session.version, suite, secret, session.explicitNonce, direction === 'sent')
  secret.fill(0)
  return cipher
}

/**
 * What we send over a TLS connection after its handshake. The number of a record is taken in shared memory before the
 * record is sealed, and what is sealed is never changed.
 */
export class TlsSealer {
  readonly #session: TlsSession
  readonly #suite: TlsSuite
  #cipher: RecordCipher | null = null

  constructor(session: TlsSession, suite: TlsSuite) {
    this.#session = session
    this.#suite = suite
  }

  /** Seals `source[start, end)`, at most 64 KB; to be drained at once. */
  write(source: NativeBuffer, start: number, end: number): void {
    for (let at = start; at < end; at += MOST_PLAINTEXT_BYTES)
      this.#seal(CONTENT.applicationData, source, at, Math.min(end, at + MOST_PLAINTEXT_BYTES))
    if (this.#session.version === TLS13 && this.#session.next('sent') >= RECORDS_BEFORE_UPDATE) this.updateKey()
  }

  /** `level`: an ALERT_LEVEL. */
  alert(level: number, code: number): void {
    message.bytes[0] = level
    message.bytes[1] = code
    this.#seal(CONTENT.alert, message, 0, 2)
  }

  /** Says that the next record is under another key, and changes to it. */
  updateKey(): void {
    message.bytes.set([KEY_UPDATE, 0, 0, 1, 0])
    this.#seal(CONTENT.handshake, message, 0, 5)
    this.#cipher?.free()
    this.#cipher = null
    this.#session.updateKey('sent', this.#suite)
  }

  get pending(): number {
    return writer === this ? end - first : 0
  }

  drain(target: NativeBuffer, offset: number, most: number): number {
    const moved = Math.min(most, this.pending)
    if (moved === 0) return 0
    sealed.bytes.copy(target.bytes, offset, first, first + moved)
    first += moved
    return moved
  }

  free(): void {
    if (writer === this) writer = null
    this.#cipher?.free()
    this.#cipher = null
  }

  #seal(content: number, source: NativeBuffer, start: number, stop: number): void {
    if (this.pending === 0) {
      writer = this
      first = 0
      end = 0
    }
    const session = this.#session
    const most = stop - start + recordOverhead(session.version, this.#suite)
    if (sealed.size - end < most) throw new Error('TLS records sealed without being drained')
    this.#cipher ??= cipherOf(session, this.#suite, 'sent')
    const number = session.next('sent')
    session.advance('sent')
    end += this.#cipher.seal(content, source, start, stop, number, sealed, end)
  }
}
