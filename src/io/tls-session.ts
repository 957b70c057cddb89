import type { Region } from '../memory/region.ts'
import { TLS, TLS_F64, TLS_SECRETS } from '../memory/tls-records.ts'
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

/** Records under one key before the number runs into the count of keys. */
const RECORDS_PER_KEY = 2 ** 40
/** Keys that fit into a number that is exact. */
const MOST_KEYS = 2 ** 13

/**
 * One TLS connection as shared memory has it: keys, record numbers, and the part of a record that has come. Whoever opens
 * or seals a record first says so here, so that a successor neither opens one twice nor seals two under one number.
 *
 * The number of a direction's next record and of the key that it is under are one float, so that one store changes both;
 * the secret of the next key is written beside the last one's before.
 */
export class TlsSession {
  /** The first part of a record. */
  readonly held: Outbox
  readonly #region: Region
  readonly #record: number
  readonly #i: number
  readonly #f: number

  constructor(region: Region, record: number, arena: BufferArena) {
    this.#region = region
    this.#record = record
    this.#i = record * (region.recordBytes >> 2)
    this.#f = record * (region.recordBytes >> 3)
    this.held = new Outbox(arena, region, record, HELD)
  }

  /** From here on `traffic` counts. `streamBytes`: what the stream has had when all that was written has left. */
  begin({ version, suite, received, sent, firstRecord, explicitNonce }: TlsTraffic, streamBytes: number): void {
    this.#write(TLS_SECRETS.received, received)
    this.#write(TLS_SECRETS.sent, sent)
    this.#write(TLS_SECRETS.explicitNonce, explicitNonce)
    this.#region.f64[this.#f + TLS_F64.received] = firstRecord
    this.#region.f64[this.#f + TLS_F64.sent] = firstRecord
    this.#region.f64[this.#f + TLS_F64.sealedBytes] = streamBytes
    this.#region.i32[this.#i + TLS.closed] = 0
    this.#region.i32[this.#i + TLS.suite] = suite.id
    this.#region.i32[this.#i + TLS.version] = version
  }

  /** Null: there is nothing to go on with. */
  get suite(): TlsSuite | null {
    return tlsSuite(this.version, this.#region.i32[this.#i + TLS.suite] ?? 0)
  }

  get version(): TlsVersion {
    return (this.#region.i32[this.#i + TLS.version] ?? 0) as TlsVersion
  }

  /** A copy of the secret that the next record is under. */
  secret(direction: Direction): Buffer {
    const at = this.#secretAt(direction, this.#keys(direction))
    return Buffer.from(this.#region.bytes.subarray(at, at + TLS_SECRETS.capacity))
  }

  get explicitNonce(): Buffer {
    const at = this.#record * this.#region.recordBytes + TLS_SECRETS.explicitNonce
    return Buffer.from(this.#region.bytes.subarray(at, at + 8))
  }

  /** The number of the next record. */
  next(direction: Direction): number {
    return this.#position(direction) % RECORDS_PER_KEY
  }

  /** The next record is being opened or sealed: nobody takes that number again. */
  advance(direction: Direction): void {
    const field = this.#f + TLS_F64[direction]
    this.#region.f64[field] = (this.#region.f64[field] ?? 0) + 1
  }

  /** The next record is under the next key. False when there have been too many. TLS 1.3 only. */
  updateKey(direction: Direction, suite: TlsSuite): boolean {
    const keys = this.#keys(direction) + 1
    if (keys >= MOST_KEYS) return false
    const secret = this.secret(direction)
    const next = nextTrafficSecret(suite, secret.subarray(0, HASH_BYTES[suite.hash]))
    next.copy(this.#region.bytes, this.#secretAt(direction, keys))
    this.#region.f64[this.#f + TLS_F64[direction]] = keys * RECORDS_PER_KEY
    this.#region.bytes.fill(0, this.#secretAt(direction, keys + 1), this.#secretAt(direction, keys + 1) + secret.length)
    secret.fill(0)
    return true
  }

  /** So many more bytes will have been written when all that was sealed has left. */
  addSealed(bytes: number): void {
    const field = this.#f + TLS_F64.sealedBytes
    this.#region.f64[field] = (this.#region.f64[field] ?? 0) + bytes
  }

  /** TLS_CLOSED bits. */
  get closed(): number {
    return this.#region.i32[this.#i + TLS.closed] ?? 0
  }

  close(bit: number): void {
    this.#region.i32[this.#i + TLS.closed] = this.closed | bit
  }

  /** Nothing is left of it. */
  wipe(): void {
    this.held.release()
    this.#region.clear(this.#record)
  }

  #position(direction: Direction): number {
    return this.#region.f64[this.#f + TLS_F64[direction]] ?? 0
  }

  #keys(direction: Direction): number {
    return Math.floor(this.#position(direction) / RECORDS_PER_KEY)
  }

  #secretAt(direction: Direction, keys: number): number {
    return this.#record * this.#region.recordBytes + TLS_SECRETS[direction] + (keys & 1) * TLS_SECRETS.capacity
  }

  #write(offset: number, bytes: Buffer): void {
    bytes.copy(this.#region.bytes, this.#record * this.#region.recordBytes + offset)
  }
}

const HELD = { outboxHandle: TLS.heldHandle, outboxStart: TLS.heldStart, outboxBytes: TLS.heldBytes } as const
