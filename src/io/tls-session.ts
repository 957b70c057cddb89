import type { Region } from '../memory/region.ts'
import { TLS, TLS_OFFSET, TLS_PART, TLS_SECRET_BYTES } from '../memory/tls-records.ts'
import type { BufferArena } from './buffer-arena.ts'
import { Outbox } from './outbox.ts'
import { HASH_BYTES, nextTrafficSecret, type TlsSuite, type TlsVersion, tlsSuite } from './tls-key-schedule.ts'

/** What a handshake leaves: how the records that follow are sealed and opened. */
export interface TlsTraffic {
  readonly version: TlsVersion
  readonly suite: TlsSuite
  /** As `RecordCipher` takes them. */
  readonly received: Buffer
  readonly sent: Buffer
  /** The number of the next record of either direction. */
  readonly firstRecord: number
  /** The explicit part of the nonce of our last record, where records carry one; else 8 bytes that do not matter. */
  readonly explicitNonce: Buffer
}

export type Direction = 'received' | 'sent'

const LIVE = TLS_OFFSET.live
const HELD = {
  outboxHandle: (LIVE + TLS_PART.heldHandle) >> 2,
  outboxStart: (LIVE + TLS_PART.heldStart) >> 2,
  outboxBytes: (LIVE + TLS_PART.heldBytes) >> 2,
} as const
const SECRET = { received: TLS_PART.receivedSecret, sent: TLS_PART.sentSecret } as const

/**
 * One TLS connection as shared memory has it: keys, record numbers, and what came and makes no record yet. What it is at the
 * end of a step is saved in one of two copies; a successor goes on from the copy of the last step that was committed. What a
 * step has sealed leaves only when that step is committed, and then as it is, so no number is ever used for two records that
 * anybody sees: of a step that does not count, nothing has left.
 */
export class TlsSession {
  /** What came and is not opened. */
  readonly held: Outbox
  readonly #region: Region
  /** First byte of the record. */
  readonly #at: number

  constructor(region: Region, record: number, arena: BufferArena) {
    this.#region = region
    this.#at = record * region.recordBytes
    this.held = new Outbox(arena, region, record, HELD)
  }

  /** From here on `traffic` counts. */
  begin({ version, suite, received, sent, firstRecord, explicitNonce }: TlsTraffic): void {
    const { bytes, i32 } = this.#region
    bytes.fill(0, this.#at, this.#at + this.#region.recordBytes)
    explicitNonce.copy(bytes, this.#at + TLS_OFFSET.explicitNonce)
    received.copy(bytes, this.#live(SECRET.received))
    sent.copy(bytes, this.#live(SECRET.sent))
    this.#setNext('received', firstRecord)
    this.#setNext('sent', firstRecord)
    i32[(this.#at >> 2) + TLS.suite] = suite.id
    i32[(this.#at >> 2) + TLS.version] = version
  }

  /** Null: there is nothing to go on with. */
  get suite(): TlsSuite | null {
    return tlsSuite(this.version, this.#region.i32[(this.#at >> 2) + TLS.suite] as number)
  }

  get version(): TlsVersion {
    return this.#region.i32[(this.#at >> 2) + TLS.version] as TlsVersion
  }

  /** A copy of the secret that the next record is under. */
  secret(direction: Direction): Buffer {
    const at = this.#live(SECRET[direction])
    return Buffer.from(this.#region.bytes.subarray(at, at + TLS_SECRET_BYTES))
  }

  get explicitNonce(): Buffer {
    const at = this.#at + TLS_OFFSET.explicitNonce
    return Buffer.from(this.#region.bytes.subarray(at, at + 8))
  }

  /** The number of the next record. */
  next(direction: Direction): number {
    return this.#region.f64[this.#live(TLS_PART[direction]) >> 3] as number
  }

  /** The next record is being opened or sealed. */
  advance(direction: Direction): void {
    this.#setNext(direction, this.next(direction) + 1)
  }

  /** The next record is the first under the next key. TLS 1.3 only. */
  updateKey(direction: Direction, suite: TlsSuite): void {
    const secret = this.secret(direction)
    const next = nextTrafficSecret(suite, secret.subarray(0, HASH_BYTES[suite.hash]))
    next.copy(this.#region.bytes, this.#live(SECRET[direction]))
    this.#setNext(direction, 0)
    secret.fill(0)
    next.fill(0)
  }

  /** TLS_CLOSED bits. */
  get closed(): number {
    return this.#region.i32[this.#live(TLS_PART.closed) >> 2] as number
  }

  close(bit: number): void {
    this.#region.i32[this.#live(TLS_PART.closed) >> 2] = this.closed | bit
  }

  /** It is as it is when the step `stamp` is committed. */
  save(stamp: number): void {
    const [first, second] = TLS_OFFSET.copies
    const older = this.#stamp(first) <= this.#stamp(second) ? first : second
    const { bytes, f64 } = this.#region
    f64[(this.#at + older) >> 3] = 0
    bytes.copyWithin(this.#at + older + 8, this.#live(8), this.#live(TLS_PART.bytes))
    f64[(this.#at + older) >> 3] = stamp
  }

  /**
   * It is as it was when the step `committed` was, or an earlier one that touched it last; what steps saved that were never
   * committed is forgotten, because steps to come have their numbers. False: nothing was saved.
   */
  restore(committed: number): boolean {
    let best = -1
    let stamp = 0
    for (const copy of TLS_OFFSET.copies) {
      if (this.#stamp(copy) > committed) this.#region.f64[(this.#at + copy) >> 3] = 0
      if (this.#stamp(copy) <= stamp) continue
      best = copy
      stamp = this.#stamp(copy)
    }
    if (best < 0 || this.suite === null) return false
    this.#region.bytes.copyWithin(this.#live(8), this.#at + best + 8, this.#at + best + TLS_PART.bytes)
    return true
  }

  /** Handle of the buffer that it holds, 0: none. */
  get heldHandle(): number {
    return this.#region.i32[this.#live(TLS_PART.heldHandle) >> 2] as number
  }

  /** Nothing is left of it. */
  wipe(): void {
    this.held.release()
    this.erase()
  }

  /** The same where what it holds is nobody's any more. */
  erase(): void {
    this.#region.bytes.fill(0, this.#at, this.#at + this.#region.recordBytes)
  }

  #stamp(copy: number): number {
    return this.#region.f64[(this.#at + copy) >> 3] as number
  }

  #live(part: number): number {
    return this.#at + LIVE + part
  }

  #setNext(direction: Direction, number: number): void {
    this.#region.f64[this.#live(TLS_PART[direction]) >> 3] = number
  }
}
