import type { Region } from '../memory/region.ts'
import { slotMark } from '../memory/slot-mark.ts'
import { ByteStream, type SealedKeeper } from './byte-stream.ts'
import type { Deferrable } from './deferred.ts'
import { LinkFarewell } from './link-farewell.ts'
import type { LinkFields, LinkHost, LinkOwner } from './link-host.ts'
import { LinkInterest } from './link-interest.ts'
import { LINK_EMPTY, readStream } from './link-read.ts'
import { saveTotals } from './link-section.ts'
import type { NativeBuffer } from './native.ts'
import { Outbox } from './outbox.ts'
import type { OwnedFd } from './owned-fd.ts'
import { HANG_UP, PEER_ENDED, type PollTarget, READABLE, WRITABLE } from './poller.ts'
import type { ReadAheadTarget } from './read-ahead.ts'
import { READ_BYTES } from './read-buffers.ts'
import type { BatchedSender } from './send-batch.ts'
import { sendCopies } from './send-copies.ts'
import type { StepParticipant } from './steps.ts'

const CLOSED = 'a closed link was written to'

/**
 * One peer's connection: plain or TLS, watched by the poller, with at most one buffer of bytes that the kernel did not
 * take. Whoever writes looks at `blocked` afterwards and stops reading its source until `onDrained`.
 *
 * Owns descriptor, TLS channel and outbox, and frees all in `close`; nothing may be called afterwards.
 */
export class Link implements PollTarget, Deferrable, BatchedSender, ReadAheadTarget, StepParticipant, SealedKeeper {
  isDeferred = false
  aheadAt = -1
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
  readonly #interest: LinkInterest
  #closed = false
  /** Null: more may be written. */
  #farewell: LinkFarewell | null = null
  /** Bytes of it in `host.sends`. */
  #heldBytes = 0
  #isLost = false
  /** The last read has left nothing with the kernel. */
  #isDrained = false

  constructor(host: LinkHost, owner: LinkOwner, region: Region, slot: number, fields: LinkFields, fd: OwnedFd) {
    this.#host = host
    this.#owner = owner
    this.mark = slotMark(region, slot)
    this.#region = region
    this.#slot = slot
    this.#fields = fields
    this.#outbox = new Outbox(host.arena, region, slot, fields)
    this.#stream = new ByteStream(fd, this.#outbox, host.ciphertext, region, slot, fields, this)
    this.#interest = new LinkInterest(host.poller, fd, this)
    this.watchBytes()
  }

  /** What it is made of, for whoever cares for TLS. */
  get stream(): ByteStream {
    return this.#stream
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
    this.#interest.endMatters = true
    this.watchBytes()
  }

  get reading(): boolean {
    return this.#interest.reading
  }

  /** While connecting: only writability matters. */
  watchConnect(): void {
    this.#interest.want(WRITABLE)
  }

  /** For bytes, and for room when some wait. */
  watchBytes(): void {
    if (!this.#closed) this.#interest.watch(this.blocked, !this.secure)
  }

  pauseReading(): void {
    if (!this.#interest.reading) return
    this.#interest.reading = false
    this.watchBytes()
  }

  resumeReading(): void {
    if (this.#interest.reading || this.#closed) return
    this.#interest.reading = true
    this.watchBytes()
    // What TLS decrypted before the pause raises no event.
    if (this.secure) this.#host.deferred.add(this)
  }

  /** Something of it or its owner changes, which has to be written down. */
  touch(): void {
    this.#host.steps.touch(this)
  }

  save(stamp: number, isTorn: boolean): void {
    if (this.#closed || this.#fields.sections === 0) return
    const at = saveTotals(this.#region, this.#slot, this.#fields, this.#stream, this.#heldBytes)
    this.#stream.save(stamp)
    this.#owner.onSave(at, isTorn)
    this.#region.f64[at >> 1] = stamp
  }

  /** Whether more is read in this event. False: so much is held back that what is left becomes another event. */
  readsOn(): boolean {
    const { sends, reads, deferred } = this.#host
    if (!sends.isCrowded && !reads.isCrowded) return true
    deferred.add(this)
    return false
  }

  runDeferred(): void {
    if (this.#closed) return
    this.touch()
    this.#host.progress[0] = this.mark
    if (this.#isLost) {
      this.#lost()
      return
    }
    if (this.#farewell?.isUnsaid === true && !this.blocked) this.#farewell.goOn()
    if (this.#interest.reading) this.#owner.onReadable()
  }

  onFault(error: unknown): void {
    this.#owner.onFault(error)
  }

  /**
   * Plain bytes into `host.inbound` at READ_HEADROOM: their count, LINK_END (peer sends no more), LINK_EMPTY or
   * LINK_FAILED. With TLS call again until it is empty.
   */
  read(): number {
    const count = readStream(this.#host, this, this.#stream)
    // Fewer than there is room for were all that the kernel had.
    this.#isDrained = count === LINK_EMPTY || (count > 0 && count < READ_BYTES)
    if (this.blocked) this.watchBytes()
    return count
  }

  holdBack(source: NativeBuffer, start: number, end: number, mustWait: boolean): boolean {
    const { sends } = this.#host
    if (!mustWait && this.#heldBytes === 0) return false
    if (!sends.holdsBack || this.#closed || !sends.keep(this, source.bytes.subarray(start, end))) return false
    this.hold(end - start)
    return true
  }

  /**
   * Sends `source[start, end)`, now or with the others at the end of this wake-up, or lets the rest wait. False when the arena
   * is full: close it. That the peer is gone is told by `onLost`, after what it said before has been read.
   */
  write(source: NativeBuffer, start: number, end: number): boolean {
    const { sends } = this.#host
    if (this.#closed) throw new Error(CLOSED)
    if (this.#isLost) return true
    if (!this.secure && !this.blocked && sends.add(this, source, start, end)) {
      this.hold(end - start)
      return true
    }
    if (this.#heldBytes > 0 && !this.#stream.isCarried) sends.flush()
    this.touch()
    const taken = this.#stream.transmit(source, start, end)
    if (this.blocked) this.watchBytes()
    if (taken || !this.#stream.isBroken) return taken
    this.#lose()
    return true
  }

  /** The same for bytes of our own making, which are copied. */
  send(bytes: Uint8Array): boolean {
    if (this.#closed) throw new Error(CLOSED)
    return sendCopies(this.#host, this, bytes)
  }

  /** So many bytes of it are in `host.sends`. */
  hold(bytes: number): void {
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
      this.#lose()
    } else if (this.blocked) {
      this.touch()
      this.watchBytes()
    } else if (this.#farewell !== null && this.#heldBytes === 0) {
      // TLS has a last word, and nothing may be written in here.
      if (this.secure && this.#farewell.isUnsaid) this.#host.deferred.add(this)
      else this.#farewell.goOn()
    }
  }

  /** Tells the peer politely (TLS close_notify) that no more comes, if it takes it right now. */
  farewell(): void {
    if (!this.#closed && !this.blocked) this.#stream.farewell()
  }

  /** No more will be written: the peer sees the end after what waits and is on its way. It may still be read from. */
  hangUp(): void {
    this.#farewell ??= new LinkFarewell(this)
    this.#farewell.goOn()
  }

  get bytesRead(): number {
    return this.#stream.bytesRead
  }

  countRead(bytes: number): void {
    this.#stream.countRead(bytes)
  }

  /** Other events come first, and what this one will read can be read together with what those do. */
  onComing(events: number): void {
    if (events === READABLE && this.#interest.reading && !this.secure && this.#owner.isReading)
      this.#host.readAhead.add(this)
  }

  keepAhead(): void {
    const count = this.#host.readAhead.take(this)
    if (count === 0) return
    this.#host.steps.touchAside(this)
    this.#owner.onReadAhead(count)
  }

  onReady(events: number): void {
    const { progress, steps } = this.#host
    progress[0] = this.mark
    steps.next()
    steps.touch(this)
    try {
      this.#serve(events)
    } catch (error) {
      this.#interest.tellAgain()
      this.#owner.onFault(error)
    }
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    if (this.aheadAt >= 0) this.#host.readAhead.drop(this)
    this.#interest.end()
    this.#stream.release()
    // What is held back leaves first. The slot may be somebody else's by then.
    if (this.#heldBytes === 0) this.#stream.close()
  }

  #serve(events: number): void {
    if ((events & WRITABLE) !== 0 && this.#interest.includes(WRITABLE)) {
      if (!this.#stream.flush()) {
        this.#lost()
        return
      }
      this.watchBytes()
      if (!this.blocked) {
        this.#farewell?.goOn()
        this.#owner.onDrained()
      }
      if (this.#closed) return
    }
    if (this.#interest.reading) {
      if ((events & (READABLE | HANG_UP)) === 0) return
      this.#isDrained = false
      this.#owner.onReadable()
      // An event is used up by reading all that there is; the end comes behind the bytes.
      if (!this.#isDrained || (events & (HANG_UP | PEER_ENDED)) !== 0) this.#interest.tellAgain()
      return
    }
    if ((events & HANG_UP) !== 0) {
      // Reported whatever we ask for, again and again: look away until somebody wants to read.
      this.#interest.end()
      this.#owner.onHangUp()
    } else if ((events & PEER_ENDED) !== 0) {
      this.#interest.endMatters = false
      this.watchBytes()
      this.#owner.onPeerEnd()
    }
  }

  /** Its owner is told when nobody uses the buffers that all share. */
  #lose(): void {
    this.#isLost = true
    this.#host.deferred.add(this)
  }

  /** What the peer said before is still there to be read, and may say why. */
  #lost(): void {
    this.#owner.onReadable()
    if (!this.#closed) this.#owner.onLost()
  }
}
