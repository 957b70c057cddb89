import type { Region } from '../memory/region.ts'
import { describeErrno, type NativeBuffer } from './native.ts'
import type { Outbox } from './outbox.ts'
import type { OwnedFd } from './owned-fd.ts'
import { FAILED, isTransient, lastSocketError, receive, send, WOULD_BLOCK } from './socket.ts'
import type { TlsRole } from './tls-context.ts'
import { recordsAfter } from './tls-hand-over.ts'
import { TlsRecordLayer } from './tls-record-layer.ts'
import type { TlsSession } from './tls-session.ts'

/** The part of a TLS channel that a stream needs; buffers are the reactor's own. */
export interface SecureChannel {
  handshake(): 'done' | 'want-read' | 'failed'
  feed(source: NativeBuffer, start: number, end: number): number
  feedEnd(): void
  read(target: NativeBuffer, offset: number, most: number): number
  write(source: NativeBuffer, start: number, end: number): void
  drain(target: NativeBuffer, offset: number, most: number): number
  pendingCiphertext(): number
  /** `handshaking`: nothing can be written yet. */
  readonly state: string
  readonly failure: string | null
  shutdown(): void
  free(): void
}

/** Indexes of a stream's totals in its slot: f64. */
export interface StreamFields {
  readonly bytesRead: number
  readonly bytesWritten: number
}

const TLS_RECORD_BYTES = 16_384
/** Ciphertext of one read; with a record of which a part came before, what is opened of it fits where plain bytes go. */
const SEALED_READ_BYTES = 32_768

/** Who holds ciphertext back until the step that made it counts. */
export interface SealedKeeper {
  /** Copies `source[start, end)`, where it has to wait or goes behind what does. False: it has to be sent at once. */
  holdBack(source: NativeBuffer, start: number, end: number, mustWait: boolean): boolean
}

/** What `SecureChannel.read` says besides a count. */
const TLS_CLOSED = -1
/** An answer of TLS itself could not be sent: `failure` says why. */
const UNDELIVERABLE = -3

/**
 * Bytes to and from one socket, plain or through TLS. What the kernel does not take goes to the outbox as it is to leave:
 * with TLS as ciphertext, sealed once and in order. Totals of what went through the socket are in the slot, written
 * after each call.
 */
export class ByteStream {
  readonly fd: OwnedFd
  readonly #outbox: Outbox
  readonly #ciphertext: NativeBuffer
  readonly #f64: Float64Array
  readonly #read: number
  readonly #written: number
  readonly #keeper: SealedKeeper
  #tls: SecureChannel | null = null
  /** What the channel is in shared memory; null: it is OpenSSL's. */
  #session: TlsSession | null = null
  #failure: string | null = null
  #isBroken = false

  constructor(
    fd: OwnedFd,
    outbox: Outbox,
    ciphertext: NativeBuffer,
    region: Region,
    slot: number,
    fields: StreamFields,
    keeper: SealedKeeper,
  ) {
    this.#keeper = keeper
    const f = slot * (region.recordBytes >> 3)
    this.fd = fd
    this.#outbox = outbox
    this.#ciphertext = ciphertext
    this.#f64 = region.f64
    this.#read = f + fields.bytesRead
    this.#written = f + fields.bytesWritten
  }

  get channel(): SecureChannel | null {
    return this.#tls
  }

  /** Totals of what went through the socket. */
  get bytesRead(): number {
    return this.#f64[this.#read] as number
  }

  get bytesWritten(): number {
    return this.#f64[this.#written] as number
  }

  /** Why the last call failed; null while none has. */
  get failure(): string | null {
    return this.#failure
  }

  /** Its socket takes no more; what the peer said before may still be there to be read. */
  get isBroken(): boolean {
    return this.#isBroken
  }

  /** From here on everything goes through `channel`, which `close` frees. `early[start, end)` was read and is its. */
  secureWith(channel: SecureChannel, early: NativeBuffer, start: number, end: number): void {
    this.#tls = channel
    if (end > start) channel.feed(early, start, end)
  }

  /** After the handshake: its keys go to `session`, so that others can go on with it. They stay OpenSSL's where that cannot be. */
  carryOn(session: TlsSession): void {
    if (this.#tls === null) throw new Error('TLS carried on without a TLS channel')
    const records = recordsAfter(this.#tls, session)
    if (records === null) return
    this.#tls = records
    this.#session = session
  }

  /** Another process had it, with its keys in `session`. */
  resumeTls(session: TlsSession, role: TlsRole): void {
    this.#tls = new TlsRecordLayer(session, role)
    this.#session = session
  }

  /** Its keys are where a successor finds them. */
  get isCarried(): boolean {
    return this.#session !== null
  }

  /** The step with this stamp ends. */
  save(stamp: number): void {
    this.#session?.save(stamp)
  }

  stepHandshake(): 'done' | 'pending' | 'failed' {
    const tls = this.#tls
    if (tls === null) throw new Error('a handshake without a TLS channel')
    for (;;) {
      const result = tls.handshake()
      if (!this.#drain(tls, true)) return 'failed'
      if (result === 'done') return 'done'
      if (result === 'failed') {
        this.#failure = tls.failure
        return 'failed'
      }
      const count = receive(this.fd, this.#ciphertext, 0, this.#ciphertext.size)
      if (count === WOULD_BLOCK) return 'pending'
      if (count > 0) this.#feed(tls, count)
      else tls.feedEnd()
    }
  }

  /** So many plain bytes were received elsewhere. */
  countRead(bytes: number): void {
    this.#f64[this.#read] = (this.#f64[this.#read] as number) + bytes
  }

  /** Plain bytes into `target`: a count, 0 at the end, WOULD_BLOCK or FAILED. */
  receive(target: NativeBuffer, offset: number, most: number): number {
    if (this.#tls !== null) return this.#receiveSecure(this.#tls, target, offset, most)
    const count = receive(this.fd, target, offset, most)
    if (count > 0) this.countRead(count)
    else if (count === FAILED) this.#failure = describeErrno('recv', lastSocketError)
    return count
  }

  /**
   * The same where ciphertext is read into `sealed`, which stays as it is until the step is committed: first what has come
   * before. `isRead` afterwards: something was.
   */
  receiveCarried(sealed: NativeBuffer, sealedAt: number, target: NativeBuffer, offset: number, most: number): number {
    const tls = this.#tls as SecureChannel
    const before = this.#open(tls, target, offset, most)
    if (before !== 0) return this.#plainResult(tls, before)
    const count = receive(this.fd, sealed, sealedAt, SEALED_READ_BYTES)
    if (count === FAILED) this.#failure = describeErrno('recv', lastSocketError)
    if (count <= 0) return count
    this.#f64[this.#read] = (this.#f64[this.#read] as number) + count
    tls.feed(sealed, sealedAt, sealedAt + count)
    const plain = this.#open(tls, target, offset, most)
    return plain === 0 ? WOULD_BLOCK : this.#plainResult(tls, plain)
  }

  /** Takes all of `source[start, end)`: to the kernel, or behind what waits. False when the peer is gone or no buffer is left. */
  transmit(source: NativeBuffer, start: number, end: number): boolean {
    if (this.#tls !== null) return this.#transmitSecure(this.#tls, source, start, end)
    if (this.#outbox.bytes !== 0) return this.#park(source, start, end)
    const sent = send(this.fd, source, start, end - start)
    if (sent === FAILED) return this.#break(lastSocketError)
    return this.#taken(Math.max(0, sent), source, start, end)
  }

  /** Plain `source[start, end)` was sent elsewhere with this result: a count or a negative error number. As `transmit`. */
  settle(result: number, source: NativeBuffer, start: number, end: number): boolean {
    if (result < 0 && !isTransient(-result)) return this.#break(-result)
    return this.#taken(Math.max(0, result), source, start, end)
  }

  #taken(sent: number, source: NativeBuffer, start: number, end: number): boolean {
    this.#f64[this.#written] = (this.#f64[this.#written] as number) + sent
    return sent === end - start || this.#park(source, start + sent, end)
  }

  /** Sends of what waits as much as the kernel takes; false when the peer is gone. */
  flush(): boolean {
    const waiting = this.#outbox.bytes
    if (waiting === 0) return true
    const sent = send(this.fd, this.#outbox.memory, this.#outbox.offset, waiting)
    if (sent === WOULD_BLOCK) return true
    if (sent === FAILED) return this.#break(lastSocketError)
    this.#f64[this.#written] = (this.#f64[this.#written] as number) + sent
    this.#outbox.consume(sent)
    return true
  }

  /** TLS close_notify, if anybody is there to take it. */
  farewell(): void {
    if (this.#tls === null || this.#tls.failure !== null) return
    this.#tls.shutdown()
    this.#drain(this.#tls)
  }

  /** What waits is dropped, and nothing more can be sealed or opened. */
  release(): void {
    this.#outbox.release()
    this.#tls?.free()
    this.#tls = null
    this.#session = null
  }

  /** After `release`. */
  close(): void {
    this.fd.close()
  }

  /** What can be opened of what came: a count, 0 for none, or a negative result of `SecureChannel.read`. */
  #open(tls: SecureChannel, target: NativeBuffer, offset: number, most: number): number {
    const plain = tls.read(target, offset, most)
    // Records that are not data may want an answer: a key update, an alert.
    return tls.pendingCiphertext() !== 0 && !this.#drain(tls) ? UNDELIVERABLE : plain
  }

  /** As `receive` says it. */
  #plainResult(tls: SecureChannel, plain: number): number {
    if (plain > 0) return plain
    if (plain === TLS_CLOSED) return 0
    if (plain !== UNDELIVERABLE) this.#failure = tls.failure ?? 'TLS failure'
    return FAILED
  }

  #receiveSecure(tls: SecureChannel, target: NativeBuffer, offset: number, most: number): number {
    for (;;) {
      const plain = this.#open(tls, target, offset, most)
      if (plain !== 0) return this.#plainResult(tls, plain)
      const count = receive(this.fd, this.#ciphertext, 0, this.#ciphertext.size)
      if (count === FAILED) this.#failure = describeErrno('recv', lastSocketError)
      if (count <= 0) return count
      this.#feed(tls, count)
    }
  }

  #transmitSecure(tls: SecureChannel, source: NativeBuffer, start: number, end: number): boolean {
    if (tls.state === 'handshaking') return this.#fail('the TLS handshake is not done')
    for (let at = start; at < end; at += TLS_RECORD_BYTES) {
      if (tls.failure !== null) return this.#fail(tls.failure)
      tls.write(source, at, Math.min(end, at + TLS_RECORD_BYTES))
      if (!this.#drain(tls)) return false
    }
    return true
  }

  #feed(tls: SecureChannel, count: number): void {
    this.#f64[this.#read] = (this.#f64[this.#read] as number) + count
    tls.feed(this.#ciphertext, 0, count)
  }

  /** All pending ciphertext, to the kernel or the outbox; if it `mustWait`, with the step that made it. */
  #drain(tls: SecureChannel, mustWait: boolean = this.isCarried): boolean {
    while (tls.pendingCiphertext() > 0) {
      const count = tls.drain(this.#ciphertext, 0, this.#ciphertext.size)
      if (this.#outbox.bytes === 0 && this.#keeper.holdBack(this.#ciphertext, 0, count, mustWait)) continue
      let at = 0
      if (this.#outbox.bytes === 0) {
        const sent = send(this.fd, this.#ciphertext, 0, count)
        if (sent === FAILED) return this.#break(lastSocketError)
        if (sent > 0) {
          this.#f64[this.#written] = (this.#f64[this.#written] as number) + sent
          at = sent
        }
      }
      if (at < count && !this.#park(this.#ciphertext, at, count)) return false
    }
    return true
  }

  #park(source: NativeBuffer, start: number, end: number): boolean {
    return this.#outbox.append(source, start, end) || this.#fail('no buffer left for a peer that does not read')
  }

  #break(errno: number): false {
    this.#isBroken = true
    return this.#fail(describeErrno('send', errno))
  }

  #fail(failure: string): false {
    this.#failure = failure
    return false
  }
}
