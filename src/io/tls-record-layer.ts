import { RouterError } from '../errors.ts'
import { TLS_CLOSED as CLOSED } from '../memory/tls-records.ts'
import type { SecureChannel } from './byte-stream.ts'
import type { NativeBuffer } from './native.ts'
import { CONTENT, MOST_PLAINTEXT_BYTES, NOT_GENUINE, RECORD_HEADER_BYTES, type RecordCipher } from './record-cipher.ts'
import { ALERT, ALERT_LEVEL, describeAlert } from './tls-alert.ts'
import { TLS_CLOSED, TLS_FAILED } from './tls-channel.ts'
import type { TlsRole } from './tls-context.ts'
import { TLS13, type TlsSuite } from './tls-key-schedule.ts'
import { cipherOf, KEY_UPDATE, TlsSealer } from './tls-sealer.ts'
import type { TlsSession } from './tls-session.ts'

/** Most that a record may have beyond its plaintext: https://www.rfc-editor.org/rfc/rfc8446#section-5.2 */
const MOST_EXPANSION_BYTES = 256
const MOST_RECORD_BYTES = RECORD_HEADER_BYTES + MOST_PLAINTEXT_BYTES + MOST_EXPANSION_BYTES
const HANDSHAKE_HEADER_BYTES = 4
const HANDSHAKE = { helloRequest: 0, clientHello: 1, newSessionTicket: 4 } as const
const UPDATE_REQUESTED = 1

type State = 'open' | 'peer-closed' | 'failed' | 'freed'
const NEXT: Record<State, readonly State[]> = {
  open: ['peer-closed', 'failed', 'freed'],
  'peer-closed': ['failed', 'freed'],
  failed: ['freed'],
  freed: [],
}

/**
 * The records of a TLS connection whose handshake is done: what `TlsChannel` is before. Keys, record numbers and the part
 * of a record that has come are in shared memory (`TlsSession`), so another process can go on in the middle of the stream.
 *
 * `feed` is followed by `read` until there is no more, `write` by `drain`, before another connection's turn.
 * https://www.rfc-editor.org/rfc/rfc8446#section-5, https://www.rfc-editor.org/rfc/rfc5246#section-6
 */
export class TlsRecordLayer implements SecureChannel {
  readonly #session: TlsSession
  readonly #suite: TlsSuite
  readonly #role: TlsRole
  #receiving: RecordCipher | null = null
  readonly #sealer: TlsSealer
  #state: State = 'open'
  #failure: string | null = null
  #inputEnded = false
  /** What was fed and not read. */
  #source: NativeBuffer | null = null
  #start = 0
  #end = 0
  /** Bytes of a handshake message that are of no interest, in records to come. */
  #skipping = 0

  /** `role`: ours. Throws when the session has nothing to go on with. */
  constructor(session: TlsSession, role: TlsRole) {
    const { suite } = session
    if (suite === null) throw new Error('no TLS session in this record')
    this.#session = session
    this.#suite = suite
    this.#role = role
    this.#sealer = new TlsSealer(session, suite)
    if ((session.closed & CLOSED.byPeer) !== 0) this.#enter('peer-closed')
  }

  get state(): State {
    return this.#state
  }

  get failure(): string | null {
    return this.#failure
  }

  handshake(): 'done' | 'failed' {
    return this.#state === 'failed' ? 'failed' : 'done'
  }

  feed(source: NativeBuffer, start: number, end: number): number {
    if (this.#start < this.#end) throw new Error('TLS records fed twice without a read')
    this.#source = source
    this.#start = start
    this.#end = end
    return end - start
  }

  feedEnd(): void {
    this.#inputEnded = true
  }

  /** As `TlsChannel.read`; `most` has room for a record. What was fed and makes no whole record is kept. */
  read(target: NativeBuffer, offset: number, most: number): number {
    if (this.#state !== 'open') return this.#ended()
    let total = 0
    while (this.#state === 'open' && most - total >= MOST_PLAINTEXT_BYTES + MOST_EXPANSION_BYTES) {
      const plain = this.#readRecord(target, offset + total)
      if (plain < 0) break
      total += plain
    }
    this.#keepRest()
    if (total > 0) return total
    if (this.#state !== 'open') return this.#ended()
    if (!this.#inputEnded) return 0
    this.#fail(`The ${this.#peer} closed the connection without saying so in TLS (no close_notify).`)
    return TLS_FAILED
  }

  write(source: NativeBuffer, start: number, end: number): void {
    if (this.#state === 'failed') {
      const origin = this.#role === 'server' ? 'client' : 'server'
      throw new RouterError('08006', this.#failure ?? 'The TLS connection is lost.', { origin })
    }
    this.#sealer.write(source, start, end)
  }

  pendingCiphertext(): number {
    return this.#sealer.pending
  }

  drain(target: NativeBuffer, offset: number, most: number): number {
    return this.#sealer.drain(target, offset, most)
  }

  shutdown(): void {
    if (this.#state === 'failed' || (this.#session.closed & CLOSED.byUs) !== 0) return
    this.#sealer.alert(ALERT_LEVEL.warning, ALERT.closeNotify)
    this.#session.close(CLOSED.byUs)
  }

  free(): void {
    if (this.#state === 'freed') return
    this.#enter('freed')
    this.#receiving?.free()
    this.#sealer.free()
    this.#session.wipe()
  }

  get #peer(): string {
    return this.#role === 'server' ? 'client' : 'server'
  }

  #enter(state: State): void {
    if (!NEXT[this.#state].includes(state)) throw new Error(`TLS records: ${state} while ${this.#state}`)
    this.#state = state
  }

  #ended(): number {
    return this.#state === 'peer-closed' ? TLS_CLOSED : TLS_FAILED
  }

  /** The next whole record's plaintext into `target`; its length, or -1 when there is none. */
  #readRecord(target: NativeBuffer, at: number): number {
    const { held } = this.#session
    if (held.bytes > 0 && !this.#fillHeld()) return -1
    const isHeld = held.bytes > 0
    const source = isHeld ? held.memory : this.#source
    const start = isHeld ? held.offset : this.#start
    const end = isHeld ? start + held.bytes : this.#end
    if (source === null || end - start < RECORD_HEADER_BYTES) return -1
    const bytes = RECORD_HEADER_BYTES + source.bytes.readUInt16BE(start + 3)
    if (bytes > MOST_RECORD_BYTES) {
      this.#fail(`The ${this.#peer} sent a TLS record that is too long.`, ALERT.recordOverflow)
      return -1
    }
    if (end - start < bytes) return -1
    const plain = this.#open(source, start, start + bytes, target, at)
    if (isHeld) held.consume(bytes)
    else this.#start += bytes
    return plain
  }

  /** Completes the record of which a part is held, and no more than that. False when it is still not whole. */
  #fillHeld(): boolean {
    const { held } = this.#session
    if (held.bytes < RECORD_HEADER_BYTES && !this.#hold(RECORD_HEADER_BYTES - held.bytes)) return false
    const whole = RECORD_HEADER_BYTES + held.memory.bytes.readUInt16BE(held.offset + 3)
    return whole > MOST_RECORD_BYTES || this.#hold(whole - held.bytes)
  }

  /** Keeps so many more bytes of what was fed; false when there are fewer. */
  #hold(bytes: number): boolean {
    const count = Math.min(Math.max(bytes, 0), this.#end - this.#start)
    if (count > 0 && this.#source !== null) {
      if (!this.#session.held.append(this.#source, this.#start, this.#start + count)) {
        this.#fail('There is no memory left for a TLS record.', ALERT.internalError)
        return false
      }
      this.#start += count
    }
    return count >= bytes
  }

  #keepRest(): void {
    if (this.#start < this.#end && this.#state === 'open') this.#hold(this.#end - this.#start)
    this.#source = null
    this.#start = 0
    this.#end = 0
  }

  #open(source: NativeBuffer, start: number, end: number, target: NativeBuffer, at: number): number {
    const session = this.#session
    this.#receiving ??= cipherOf(session, this.#suite, 'received')
    const cipher = this.#receiving
    const plain = cipher.open(source, start, end, session.next('received'), target, at)
    if (plain === NOT_GENUINE) {
      this.#fail(`A TLS record of the ${this.#peer} is not what it sealed.`, ALERT.badRecordMac)
      return -1
    }
    session.advance('received')
    switch (cipher.content) {
      case CONTENT.applicationData:
        return plain
      case CONTENT.handshake:
        this.#takeHandshake(target.bytes, at, at + plain)
        return 0
      case CONTENT.alert:
        this.#takeAlert(target.bytes[at] ?? 0, target.bytes[at + 1] ?? 0)
        return 0
      default:
        this.#fail(`The ${this.#peer} sent a TLS record of an unexpected kind.`, ALERT.unexpectedMessage)
        return -1
    }
  }

  #takeAlert(level: number, code: number): void {
    if (code === ALERT.closeNotify) {
      this.#session.close(CLOSED.byPeer)
      this.#enter('peer-closed')
    } else if (code !== ALERT.userCanceled && !(level === ALERT_LEVEL.warning && this.#session.version !== TLS13))
      this.#fail(`The ${this.#peer} ended the TLS connection with the alert "${describeAlert(code)}".`)
  }

  /** Messages after the handshake: key updates, and tickets that nobody wants. */
  #takeHandshake(bytes: Buffer, start: number, end: number): void {
    let at = start
    while (this.#state === 'open') {
      const skipped = Math.min(this.#skipping, end - at)
      this.#skipping -= skipped
      at += skipped
      if (at === end) return
      if (end - at < HANDSHAKE_HEADER_BYTES) {
        this.#fail(`The ${this.#peer} sent a handshake message in pieces.`, ALERT.unexpectedMessage)
        return
      }
      const length = bytes.readUIntBE(at + 1, 3)
      this.#takeMessage(bytes[at] ?? 0, length, bytes[at + HANDSHAKE_HEADER_BYTES] ?? 0, end - at)
      at += HANDSHAKE_HEADER_BYTES
    }
  }

  #takeMessage(type: number, length: number, first: number, left: number): void {
    const isNew = this.#session.version === TLS13
    this.#skipping = length
    if (isNew && type === KEY_UPDATE && length === 1 && left === HANDSHAKE_HEADER_BYTES + 1)
      this.#updateTheirs(first === UPDATE_REQUESTED)
    else if (isNew && type === HANDSHAKE.newSessionTicket && this.#role === 'client') return
    else if (!isNew && (type === HANDSHAKE.helloRequest || type === HANDSHAKE.clientHello))
      // Nobody is forced to negotiate again: https://www.rfc-editor.org/rfc/rfc5246#section-7.2.2
      this.#sealer.alert(ALERT_LEVEL.warning, ALERT.noRenegotiation)
    else this.#fail(`The ${this.#peer} sent an unexpected handshake message (${type}).`, ALERT.unexpectedMessage)
  }

  #updateTheirs(isAnswerWanted: boolean): void {
    this.#receiving?.free()
    this.#receiving = null
    this.#session.updateKey('received', this.#suite)
    if (isAnswerWanted) this.#sealer.updateKey()
  }

  /** `alert`: what to tell the peer. */
  #fail(failure: string, alert: number | null = null): void {
    if (alert !== null) this.#sealer.alert(ALERT_LEVEL.fatal, alert)
    this.#enter('failed')
    this.#failure = failure
  }
}
