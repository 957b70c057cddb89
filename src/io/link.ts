import type { Region } from '../memory/region.ts'
import type { BufferArena } from './buffer-arena.ts'
import { describeErrno, type NativeBuffer } from './native.ts'
import type { OwnedFd } from './owned-fd.ts'
import { HANG_UP, type Poller, type PollTarget, READABLE, WRITABLE } from './poller.ts'
import { FAILED, lastSocketError, receive, send, shutdownWrite, WOULD_BLOCK } from './socket.ts'

/**
 * Free bytes kept before what a read delivers, so that a frame cut by the last read can be put in front of the rest.
 * A frame that must be seen whole may be this long; longer ones stream through.
 */
export const READ_HEADROOM = 65_536
export const READ_BYTES = 65_536

/** The part of a TLS channel that a link needs once both sides talk; buffers are the reactor's own. */
export interface SecureChannel {
  handshake(): 'done' | 'want-read' | 'failed'
  feed(source: NativeBuffer, start: number, end: number): number
  feedEnd(): void
  read(target: NativeBuffer, offset: number, most: number): number
  write(source: NativeBuffer, start: number, end: number): void
  drain(target: NativeBuffer, offset: number, most: number): number
  pendingCiphertext(): number
  readonly failure: string | null
  shutdown(): void
  free(): void
}

/** What all links of a plane share. */
export interface LinkHost {
  readonly poller: Poller
  readonly arena: BufferArena
  /** READ_HEADROOM + READ_BYTES. One read at a time lands here and is used up before the next descriptor is served. */
  readonly inbound: NativeBuffer
  /** Ciphertext on its way between socket and TLS channel. */
  readonly ciphertext: NativeBuffer
  /** Messages of our own on their way to a socket. */
  readonly outbound: NativeBuffer
}

/** Indexes of the fields that a link keeps up to date in its slot; client and server slots share them. */
export interface LinkFields {
  readonly outboxHandle: number
  readonly outboxStart: number
  readonly outboxBytes: number
  readonly bytesRead: number
  readonly bytesWritten: number
}

/** Who is told. */
export interface LinkOwner {
  onReadable(): void
  /** All waiting bytes have left: whoever feeds this link may go on. */
  onDrained(): void
  /** One of the others threw: end this connection, with a reason, and leave the rest alone. */
  onFault(error: unknown): void
}

/** `read` results besides a byte count. */
export const LINK_END = 0
export const LINK_EMPTY = WOULD_BLOCK
export const LINK_FAILED = FAILED

const TLS_RECORD_BYTES = 16_384

/**
 * One peer's connection: plain or TLS, watched by the poller, with at most one buffer of bytes that the kernel did not
 * take. Whoever writes looks at `blocked` afterwards and stops reading its source until `onDrained`.
 *
 * Owns descriptor, TLS channel and outbox, and frees all in `close`; nothing may be called afterwards.
 */
export class Link implements PollTarget {
  readonly #host: LinkHost
  readonly #owner: LinkOwner
  readonly #region: Region
  readonly #fields: LinkFields
  readonly #i: number
  readonly #f: number
  readonly #fd: OwnedFd
  #key = -1
  #interest = 0
  #reading = true
  #closed = false
  #tls: SecureChannel | null = null
  #failure: string | null = null

  constructor(host: LinkHost, owner: LinkOwner, region: Region, slot: number, fields: LinkFields, fd: OwnedFd) {
    this.#host = host
    this.#owner = owner
    this.#region = region
    this.#fields = fields
    this.#i = slot * (region.recordBytes >> 2)
    this.#f = slot * (region.recordBytes >> 3)
    this.#fd = fd
    this.#watch()
  }

  get fd(): OwnedFd {
    return this.#fd
  }

  get closed(): boolean {
    return this.#closed
  }

  get secure(): boolean {
    return this.#tls !== null
  }

  get channel(): SecureChannel | null {
    return this.#tls
  }

  /** Why the last read or write failed, for the log. */
  get failure(): string {
    return this.#failure ?? 'connection lost'
  }

  /** True while bytes wait for this peer: stop reading whatever feeds it. */
  get blocked(): boolean {
    return this.waitingBytes !== 0
  }

  get waitingBytes(): number {
    return this.#region.i32[this.#i + this.#fields.outboxBytes] ?? 0
  }

  /**
   * From here on everything goes through `channel`, which the link frees. `early[start, end)` was read before and
   * belongs to it. Call `stepHandshake` now and at each `onReadable` until it is done.
   */
  secureWith(channel: SecureChannel, early: NativeBuffer, start: number, end: number): void {
    this.#tls = channel
    if (end > start) channel.feed(early, start, end)
  }

  /** `failed`: see `failure`; the alert for the peer is on its way. */
  stepHandshake(): 'done' | 'pending' | 'failed' {
    const tls = this.#tls
    if (tls === null) throw new Error('a handshake without a TLS channel')
    const { ciphertext } = this.#host
    for (;;) {
      const result = tls.handshake()
      if (this.#drainSecure(tls) < 0) return 'failed'
      this.#watch()
      if (result === 'done') return 'done'
      if (result === 'failed') {
        this.#failure = tls.failure
        return 'failed'
      }
      const count = receive(this.#fd, ciphertext, 0, TLS_RECORD_BYTES)
      if (count === WOULD_BLOCK) return 'pending'
      if (count > 0) {
        this.#count(this.#fields.bytesRead, count)
        tls.feed(ciphertext, 0, count)
      } else tls.feedEnd()
    }
  }

  /** While connecting: only writability matters. */
  watchConnect(): void {
    this.#setInterest(WRITABLE)
  }

  /** Connected: back to watching for bytes. */
  watchBytes(): void {
    this.#watch()
  }

  pauseReading(): void {
    if (!this.#reading) return
    this.#reading = false
    this.#watch()
  }

  /** May call `onReadable` at once: TLS bytes that were decrypted before the pause raise no event. */
  resumeReading(): void {
    if (this.#reading || this.#closed) return
    this.#reading = true
    this.#watch()
    if (this.#tls !== null) this.#owner.onReadable()
  }

  get reading(): boolean {
    return this.#reading
  }

  /**
   * Plain bytes into `host.inbound` at READ_HEADROOM: their count, LINK_END (peer sends no more), LINK_EMPTY or
   * LINK_FAILED. With TLS call again until it is empty.
   */
  read(): number {
    const { inbound } = this.#host
    const most = READ_BYTES
    if (this.#tls !== null) return this.#readSecure(this.#tls, inbound, most)
    const count = receive(this.#fd, inbound, READ_HEADROOM, most)
    if (count > 0) this.#count(this.#fields.bytesRead, count)
    else if (count === FAILED) this.#failure = describeErrno('recv', lastSocketError)
    return count
  }

  /** Sends `source[start, end)` or lets the rest wait. False when the peer is gone or the arena is full: close it. */
  write(source: NativeBuffer, start: number, end: number): boolean {
    let at = start
    if (!this.blocked) {
      const sent = this.#push(source, start, end)
      if (sent < 0) return false
      at += sent
      if (at === end && !this.blocked) return true
    }
    if (at < end && !this.#park(source, at, end)) return false
    this.#watch()
    return true
  }

  /** The same for bytes of our own making, which are copied. */
  send(bytes: Uint8Array): boolean {
    const { outbound } = this.#host
    for (let at = 0; at < bytes.length; at += outbound.size) {
      const part = bytes.subarray(at, at + outbound.size)
      outbound.bytes.set(part, 0)
      if (!this.write(outbound, 0, part.length)) return false
    }
    return true
  }

  /** Tells the peer politely (TLS close_notify) that no more comes, if it takes it right now. */
  farewell(): void {
    if (this.#tls === null || this.#closed || this.blocked) return
    this.#tls.shutdown()
    this.#drainSecure(this.#tls)
  }

  /** No more will be written: the peer sees the end after what is on its way. It may still be read from. */
  hangUp(): void {
    this.farewell()
    shutdownWrite(this.#fd)
  }

  onReady(events: number): void {
    try {
      this.#serve(events)
    } catch (error) {
      this.#owner.onFault(error)
    }
  }

  #serve(events: number): void {
    if ((events & WRITABLE) !== 0 && this.#interest & WRITABLE) {
      if (!this.#flush()) {
        // The owner's next read reports the failure.
        this.#owner.onReadable()
        return
      }
      if (this.#closed) return
      this.#watch()
      if (!this.blocked) this.#owner.onDrained()
      if (this.#closed) return
    }
    if ((events & (READABLE | HANG_UP)) === 0) return
    if (this.#reading) this.#owner.onReadable()
    else if ((events & HANG_UP) !== 0) this.#unwatch()
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#unwatch()
    this.#releaseOutbox()
    this.#tls?.free()
    this.#tls = null
    this.#fd.close()
  }

  #readSecure(tls: SecureChannel, inbound: NativeBuffer, most: number): number {
    const { ciphertext } = this.#host
    for (;;) {
      const plain = tls.read(inbound, READ_HEADROOM, most)
      if (plain > 0) return plain
      if (plain === -1) return LINK_END
      if (plain < -1) {
        this.#failure = tls.failure ?? 'TLS failure'
        this.#drainSecure(tls)
        return LINK_FAILED
      }
      // Post-handshake messages may want an answer (key update).
      if (tls.pendingCiphertext() !== 0 && this.#drainSecure(tls) < 0) return LINK_FAILED
      const count = receive(this.#fd, ciphertext, 0, TLS_RECORD_BYTES)
      if (count === FAILED) this.#failure = describeErrno('recv', lastSocketError)
      if (count < 0) return count
      if (count === 0) {
        // Without a close_notify before it this is a cut connection; the peer has gone either way.
        return LINK_END
      }
      this.#count(this.#fields.bytesRead, count)
      tls.feed(ciphertext, 0, count)
    }
  }

  /** Bytes of plaintext taken (all of them may be on their way as ciphertext), or FAILED. */
  #push(source: NativeBuffer, start: number, end: number): number {
    if (this.#tls === null) {
      const sent = send(this.#fd, source, start, end - start)
      if (sent >= 0) {
        this.#count(this.#fields.bytesWritten, sent)
        return sent
      }
      if (sent === WOULD_BLOCK) return 0
      this.#failure = describeErrno('send', lastSocketError)
      return FAILED
    }
    if (this.#tls.failure !== null) {
      this.#failure = this.#tls.failure
      return FAILED
    }
    let at = start
    while (at < end) {
      const stop = Math.min(end, at + TLS_RECORD_BYTES)
      this.#tls.write(source, at, stop)
      at = stop
      const drained = this.#drainSecure(this.#tls)
      if (drained < 0) return FAILED
      if (drained === 0) break
    }
    return at - start
  }

  /** 1 when all ciphertext left, 0 when some waits, FAILED. */
  #drainSecure(tls: SecureChannel): number {
    // Peek is not offered by a memory BIO, so what the kernel refuses waits in the outbox as it is: ciphertext.
    const { ciphertext } = this.#host
    while (tls.pendingCiphertext() > 0) {
      const count = tls.drain(ciphertext, 0, ciphertext.size)
      let at = 0
      if (this.waitingBytes === 0) {
        const sent = send(this.#fd, ciphertext, 0, count)
        if (sent === FAILED) {
          this.#failure = describeErrno('send', lastSocketError)
          return FAILED
        }
        if (sent > 0) {
          this.#count(this.#fields.bytesWritten, sent)
          at = sent
        }
      }
      if (at < count && !this.#append(ciphertext, at, count)) return FAILED
    }
    return this.waitingBytes === 0 ? 1 : 0
  }

  /** Bytes that could not be handed to the kernel: as they are when plain, sealed at once when TLS. */
  #park(source: NativeBuffer, start: number, end: number): boolean {
    if (this.#tls === null) return this.#append(source, start, end)
    if (this.#tls.failure !== null) return false
    for (let at = start; at < end; at += TLS_RECORD_BYTES) {
      this.#tls.write(source, at, Math.min(end, at + TLS_RECORD_BYTES))
      if (this.#drainSecure(this.#tls) < 0) return false
    }
    return true
  }

  #append(source: NativeBuffer, start: number, end: number): boolean {
    const { arena } = this.#host
    const { outboxHandle, outboxStart, outboxBytes } = this.#fields
    const { i32 } = this.#region
    const handle = i32[this.#i + outboxHandle] ?? 0
    const first = i32[this.#i + outboxStart] ?? 0
    const waiting = i32[this.#i + outboxBytes] ?? 0
    const total = waiting + end - start
    let target = handle
    if (handle === 0 || first + total > arena.capacity(handle)) {
      target = arena.allocate(total)
      if (target === 0) {
        this.#failure = 'no buffer left for a peer that does not read'
        return false
      }
      const from = arena.offset(handle) + first
      if (waiting > 0) arena.memory.bytes.copy(arena.memory.bytes, arena.offset(target), from, from + waiting)
      i32[this.#i + outboxStart] = 0
      i32[this.#i + outboxHandle] = target
      if (handle !== 0) arena.release(handle)
    }
    const to = arena.offset(target) + (i32[this.#i + outboxStart] ?? 0) + waiting
    source.bytes.copy(arena.memory.bytes, to, start, end)
    i32[this.#i + outboxBytes] = total
    return true
  }

  /** Sends what waits; false when the peer is gone. */
  #flush(): boolean {
    const { i32 } = this.#region
    const waiting = this.waitingBytes
    if (waiting === 0) return true
    const { outboxHandle, outboxStart, outboxBytes } = this.#fields
    const first = i32[this.#i + outboxStart] ?? 0
    const from = this.#host.arena.offset(i32[this.#i + outboxHandle] ?? 0) + first
    const sent = send(this.#fd, this.#host.arena.memory, from, waiting)
    if (sent === WOULD_BLOCK) return true
    if (sent === FAILED) {
      this.#failure = describeErrno('send', lastSocketError)
      return false
    }
    this.#count(this.#fields.bytesWritten, sent)
    if (sent === waiting) {
      this.#releaseOutbox()
    } else {
      i32[this.#i + outboxStart] = first + sent
      i32[this.#i + outboxBytes] = waiting - sent
    }
    return true
  }

  #releaseOutbox(): void {
    const { i32 } = this.#region
    const handle = i32[this.#i + this.#fields.outboxHandle] ?? 0
    if (handle === 0) return
    this.#host.arena.release(handle)
    i32[this.#i + this.#fields.outboxHandle] = 0
    i32[this.#i + this.#fields.outboxStart] = 0
    i32[this.#i + this.#fields.outboxBytes] = 0
  }

  #watch(): void {
    this.#setInterest((this.#reading ? READABLE : 0) | (this.blocked ? WRITABLE : 0))
  }

  #setInterest(interest: number): void {
    if (this.#closed || (this.#key >= 0 && interest === this.#interest)) return
    this.#interest = interest
    if (this.#key < 0) this.#key = this.#host.poller.add(this.#fd, interest, this)
    else this.#host.poller.change(this.#key, this.#fd, interest)
  }

  #unwatch(): void {
    if (this.#key < 0) return
    this.#host.poller.remove(this.#key, this.#fd)
    this.#key = -1
  }

  #count(field: number, bytes: number): void {
    const at = this.#f + field
    this.#region.f64[at] = (this.#region.f64[at] ?? 0) + bytes
  }
}
