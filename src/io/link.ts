import type { Region } from '../memory/region.ts'
import { slotMark } from '../memory/slot-mark.ts'
import { nextSection, SECTION } from '../memory/slot-section.ts'
import type { BufferArena } from './buffer-arena.ts'
import { ByteStream, type SealedKeeper, type SecureChannel, type StreamFields } from './byte-stream.ts'
import type { Deferrable, DeferredWork } from './deferred.ts'
import type { NativeBuffer } from './native.ts'
import { Outbox, type OutboxFields } from './outbox.ts'
import type { OwnedFd } from './owned-fd.ts'
import { HANG_UP, PEER_ENDED, type Poller, type PollTarget, READABLE, WRITABLE } from './poller.ts'
import type { ReadBuffers } from './read-buffers.ts'
import type { BatchedSender, SendBatch } from './send-batch.ts'
import { FAILED, shutdownWrite, WOULD_BLOCK } from './socket.ts'
import type { StepParticipant, Steps } from './steps.ts'
import type { TlsRole } from './tls-context.ts'
import type { TlsSession } from './tls-session.ts'

/**
 * Free bytes kept before what a read delivers, so that a frame cut by the last read can be put in front of the rest.
 * A frame that must be seen whole may be this long; longer ones stream through.
 */
export const READ_HEADROOM = 65_536
export const READ_BYTES = 65_536

/** What all links of a plane share. */
export interface LinkHost {
  readonly poller: Poller
  readonly arena: BufferArena
  readonly reads: ReadBuffers
  /** `reads.current`: READ_HEADROOM + READ_BYTES. The last read landed here and is used up before the next descriptor is served. */
  readonly inbound: NativeBuffer
  readonly sends: SendBatch
  readonly steps: Steps
  /** Ciphertext on its way between socket and TLS channel. */
  readonly ciphertext: NativeBuffer
  /** Messages of our own on their way to a socket. */
  readonly outbound: NativeBuffer
  readonly deferred: DeferredWork
  /** `[0]`: whose event is being served, as a `slotMark`; in shared memory, so that it outlives a crash. */
  readonly progress: Int32Array
}

/** Indexes of the fields that a link keeps up to date in its slot; client and server slots share them. */
export interface LinkFields extends OutboxFields, StreamFields {
  readonly inboxHandle: number
  readonly inboxBytes: number
  /** Where in the slot its sections are, in bytes; 0: nobody goes on with this connection. */
  readonly sections: number
}

/** Who is told. */
export interface LinkOwner {
  onReadable(): void
  /** All waiting bytes have left: whoever feeds this link may go on. */
  onDrained(): void
  /** The connection is dead in both directions, while nobody reads. What arrived before may still be read. */
  onHangUp(): void
  /** The peer sends no more, while nobody reads: told once, after `watchEnd`. It may still listen. */
  onPeerEnd(): void
  /** Waiting bytes cannot be delivered: `failure` says why. */
  onLost(): void
  /** One of the others threw: end this connection, with a reason, and leave the rest alone. */
  onFault(error: unknown): void
  /** A step ends: the section at this i32 of the slots, whose first part is written, has to be completed. */
  onSave(section: number, isTorn: boolean): void
}

/** hanging up: what waits goes out first. said goodbye: so does close_notify. */
type Sending = 'open' | 'hanging up' | 'said goodbye'

const CLOSED = 'a closed link was written to'

/** `read` results besides a byte count. */
export const LINK_END = 0
export const LINK_EMPTY = WOULD_BLOCK
export const LINK_FAILED = FAILED

/**
 * One peer's connection: plain or TLS, watched by the poller, with at most one buffer of bytes that the kernel did not
 * take. Whoever writes looks at `blocked` afterwards and stops reading its source until `onDrained`.
 *
 * Owns descriptor, TLS channel and outbox, and frees all in `close`; nothing may be called afterwards.
 */
export class Link implements PollTarget, Deferrable, BatchedSender, StepParticipant, SealedKeeper {
  isDeferred = false
  isSending = false
  isTouched = false
  touchedIn = 0
  readonly mark: number
  readonly #host: LinkHost
  readonly #owner: LinkOwner
  readonly #outbox: Outbox
  readonly #stream: ByteStream
  readonly #region: Region
  readonly #slot: number
  readonly #fields: LinkFields
  #key = -1
  #interest = 0
  #reading = true
  #closed = false
  #endMatters = false
  #sending: Sending = 'open'
  /** Bytes of it in `host.sends`. */
  #heldBytes = 0
  #isLost = false

  constructor(host: LinkHost, owner: LinkOwner, region: Region, slot: number, fields: LinkFields, fd: OwnedFd) {
    this.#host = host
    this.#owner = owner
    this.mark = slotMark(region, slot)
    this.#region = region
    this.#slot = slot
    this.#fields = fields
    this.#outbox = new Outbox(host.arena, region, slot, fields)
    this.#stream = new ByteStream(fd, this.#outbox, host.ciphertext, region, slot, fields, this)
    this.#watch()
  }

  get fd(): OwnedFd {
    return this.#stream.fd
  }

  get closed(): boolean {
    return this.#closed
  }

  get secure(): boolean {
    return this.#stream.channel !== null
  }

  get channel(): SecureChannel | null {
    return this.#stream.channel
  }

  /** Why the last read or write failed, for the log. */
  get failure(): string {
    return this.#stream.failure ?? 'connection lost'
  }

  /** True while bytes wait for this peer: stop reading whatever feeds it. */
  get blocked(): boolean {
    return this.#outbox.bytes !== 0
  }

  /** Bytes have been written that the kernel does not have yet. */
  get isDelivering(): boolean {
    return this.#heldBytes > 0 || this.blocked
  }

  get waitingBytes(): number {
    return this.#outbox.bytes
  }

  /** Tell me, once, when the peer ends while nobody reads. */
  watchEnd(): void {
    this.#endMatters = true
    this.#watch()
  }

  get reading(): boolean {
    return this.#reading
  }

  /**
   * From here on everything goes through `channel`, which the link frees. `early[start, end)` was read before and
   * belongs to it. Call `stepHandshake` now and at each `onReadable` until it is done.
   */
  secureWith(channel: SecureChannel, early: NativeBuffer, start: number, end: number): void {
    this.#stream.secureWith(channel, early, start, end)
  }

  /** `failed`: see `failure`; the alert for the peer is on its way. */
  stepHandshake(): 'done' | 'pending' | 'failed' {
    const step = this.#stream.stepHandshake()
    this.#watch()
    return step
  }

  /** After the handshake: see `ByteStream.carryOn`. */
  carryOn(session: TlsSession): void {
    this.#stream.carryOn(session)
  }

  /** Another process had it: see `ByteStream.resumeTls`. What came and was not opened is read without an event. */
  resumeTls(session: TlsSession, role: TlsRole): void {
    this.#stream.resumeTls(session, role)
    this.#host.deferred.add(this)
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

  resumeReading(): void {
    if (this.#reading || this.#closed) return
    this.#reading = true
    this.#watch()
    // What TLS decrypted before the pause raises no event.
    if (this.secure) this.#host.deferred.add(this)
  }

  /** Something of it or its owner changes, which has to be written down. */
  touch(): void {
    this.#host.steps.touch(this)
  }

  save(stamp: number, isTorn: boolean): void {
    const fields = this.#fields
    if (this.#closed || fields.sections === 0) return
    const region = this.#region
    const { i32, f64 } = region
    const slot = this.#slot * (region.recordBytes >> 2)
    const at = nextSection(region, this.#slot, fields.sections)
    const waiting = i32[slot + fields.outboxBytes] as number
    f64[(at + SECTION.read) >> 1] = this.#stream.bytesRead
    f64[(at + SECTION.written) >> 1] = this.#stream.bytesWritten + this.#heldBytes + waiting
    i32[at + SECTION.inboxHandle] = i32[slot + fields.inboxHandle] as number
    i32[at + SECTION.inboxBytes] = i32[slot + fields.inboxBytes] as number
    i32[at + SECTION.outboxHandle] = i32[slot + fields.outboxHandle] as number
    i32[at + SECTION.outboxStart] = i32[slot + fields.outboxStart] as number
    i32[at + SECTION.outboxBytes] = waiting
    this.#stream.save(stamp)
    this.#owner.onSave(at, isTorn)
    f64[at >> 1] = stamp
  }

  runDeferred(): void {
    if (this.#closed) return
    this.touch()
    this.#host.progress[0] = this.mark
    if (this.#isLost) {
      this.#lost()
      return
    }
    if (this.#sending === 'hanging up' && !this.blocked) this.hangUp()
    if (this.#reading) this.#owner.onReadable()
  }

  onFault(error: unknown): void {
    this.#owner.onFault(error)
  }

  /**
   * Plain bytes into `host.inbound` at READ_HEADROOM: their count, LINK_END (peer sends no more), LINK_EMPTY or
   * LINK_FAILED. With TLS call again until it is empty.
   */
  read(): number {
    const { reads, steps } = this.#host
    if (this.#stream.isCarried) return this.#readCarried()
    reads.claim(this.mark, this.#stream.bytesRead)
    const count = this.#stream.receive(this.#host.inbound, READ_HEADROOM, READ_BYTES)
    if (count > 0) steps.received(this)
    else reads.unclaim()
    if (this.blocked) this.#watch()
    return count
  }

  #readCarried(): number {
    const { reads, steps } = this.#host
    const before = this.#stream.bytesRead
    const sealed = reads.claimTwo(this.mark, before)
    const count = this.#stream.receiveCarried(sealed, READ_HEADROOM, reads.current, READ_HEADROOM, READ_BYTES)
    if (count > 0 || this.#stream.bytesRead > before) steps.received(this)
    else reads.unclaimTwo()
    if (this.blocked) this.#watch()
    return count
  }

  holdBack(source: NativeBuffer, start: number, end: number): boolean {
    const { sends } = this.#host
    if (!sends.holdsBack || this.#closed || !sends.keep(this, source.bytes.subarray(start, end))) return false
    this.#hold(end - start)
    return true
  }

  /**
   * Sends `source[start, end)`, now or with the others at the end of this wake-up, or lets the rest wait. False when the peer
   * is gone or the arena is full: close it. When that shows later, `onLost` is called.
   */
  write(source: NativeBuffer, start: number, end: number): boolean {
    const { sends } = this.#host
    if (this.#closed) throw new Error(CLOSED)
    if (!this.secure && !this.blocked && sends.add(this, source, start, end)) {
      this.#hold(end - start)
      return true
    }
    if (this.#heldBytes > 0 && !this.#stream.isCarried) sends.flush()
    this.touch()
    const taken = this.#stream.transmit(source, start, end)
    if (this.blocked) this.#watch()
    return taken
  }

  #hold(bytes: number): void {
    this.touch()
    this.#heldBytes += bytes
  }

  onSent(result: number, source: NativeBuffer, start: number, end: number): void {
    this.#heldBytes -= end - start
    if (this.#closed) {
      if (this.#heldBytes === 0) this.#stream.close()
      return
    }
    if (!this.#stream.settle(result, source, start, end)) {
      this.#isLost = true
      this.#host.deferred.add(this)
    } else if (this.blocked) {
      this.touch()
      this.#watch()
    } else if (this.#sending !== 'open' && this.#heldBytes === 0) {
      // TLS has a last word, and nothing may be written in here.
      if (this.secure && this.#sending === 'hanging up') this.#host.deferred.add(this)
      else this.hangUp()
    }
  }

  /** The same for bytes of our own making, which are copied. */
  send(bytes: Uint8Array): boolean {
    const { sends } = this.#host
    if (this.#closed) throw new Error(CLOSED)
    if (sends.holdsBack && !this.secure && !this.blocked) {
      const most = sends.mostKept
      for (let at = 0; at < bytes.length; at += most) {
        const part = bytes.length <= most ? bytes : bytes.subarray(at, at + most)
        if (!sends.keep(this, part)) return this.#sendCopies(bytes.subarray(at))
        this.#hold(part.length)
      }
      return true
    }
    return this.#sendCopies(bytes)
  }

  #sendCopies(bytes: Uint8Array): boolean {
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
    if (!this.#closed && !this.blocked) this.#stream.farewell()
  }

  /** No more will be written: the peer sees the end after what waits and is on its way. It may still be read from. */
  hangUp(): void {
    if (this.#sending === 'open') this.#sending = 'hanging up'
    // What is held back goes first; `onSent` comes back to this.
    if (this.#heldBytes > 0) return
    if (this.#sending === 'hanging up' && !this.blocked) {
      this.farewell()
      this.#sending = 'said goodbye'
      if (this.#heldBytes > 0) return
    }
    if (this.blocked) this.#watch()
    else shutdownWrite(this.fd)
  }

  onReady(events: number): void {
    const { progress, steps } = this.#host
    progress[0] = this.mark
    steps.next()
    steps.touch(this)
    try {
      this.#serve(events)
    } catch (error) {
      this.#owner.onFault(error)
    }
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#unwatch()
    this.#stream.release()
    // What is held back leaves first. The slot may be somebody else's by then.
    if (this.#heldBytes === 0) this.#stream.close()
  }

  #serve(events: number): void {
    if ((events & WRITABLE) !== 0 && (this.#interest & WRITABLE) !== 0) {
      if (!this.#stream.flush()) {
        this.#lost()
        return
      }
      this.#watch()
      if (!this.blocked) this.#drained()
      if (this.#closed) return
    }
    if (this.#reading) {
      if ((events & (READABLE | HANG_UP)) !== 0) this.#owner.onReadable()
      return
    }
    if ((events & HANG_UP) !== 0) {
      // Reported whatever we ask for, again and again: look away until somebody wants to read.
      this.#unwatch()
      this.#owner.onHangUp()
    } else if ((events & PEER_ENDED) !== 0) {
      this.#endMatters = false
      this.#watch()
      this.#owner.onPeerEnd()
    }
  }

  #drained(): void {
    if (this.#sending !== 'open') this.hangUp()
    this.#owner.onDrained()
  }

  /** What the peer said before is still there to be read, and may say why. */
  #lost(): void {
    this.#owner.onReadable()
    if (!this.#closed) this.#owner.onLost()
  }

  #watch(): void {
    const read = this.#reading ? READABLE : this.#endMatters ? PEER_ENDED : 0
    this.#setInterest(read | (this.blocked ? WRITABLE : 0))
  }

  #setInterest(interest: number): void {
    if (this.#closed || (this.#key >= 0 && interest === this.#interest)) return
    this.#interest = interest
    if (this.#key < 0) this.#key = this.#host.poller.add(this.fd, interest, this)
    else this.#host.poller.change(this.#key, this.fd, interest)
  }

  #unwatch(): void {
    if (this.#key < 0) return
    this.#host.poller.remove(this.#key, this.fd)
    this.#key = -1
  }
}
