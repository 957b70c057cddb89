import { AeadCipher, TAG_BYTES } from './aead-cipher.ts'
import { NativeBuffer } from './native.ts'
import {
  HASH_BYTES,
  hasExplicitNonce,
  ivBytesOf,
  KEY_BYTES,
  NONCE_BYTES,
  TLS13,
  type TlsSuite,
  type TlsVersion,
  type TrafficKey,
  trafficKey,
} from './tls-key-schedule.ts'

export const RECORD_HEADER_BYTES = 5
/** Most plaintext of one record. */
export const MOST_PLAINTEXT_BYTES = 16_384
export const CONTENT = { changeCipherSpec: 20, alert: 21, handshake: 22, applicationData: 23 } as const
/** `open`: not genuine, or no record. */
export const NOT_GENUINE = -1

const EXPLICIT_NONCE_BYTES = 8
/** What all records of either version say, for the sake of middleboxes. */
const WIRE_VERSION = 0x303

const nonce = NativeBuffer.allocate(NONCE_BYTES)
const extra = NativeBuffer.allocate(13)
const contentType = NativeBuffer.allocate(1)
const NOTHING = NativeBuffer.allocate(1)

/** Bytes that sealing adds to those of a record. */
export function recordOverhead(version: TlsVersion, { aead }: TlsSuite): number {
  if (version === TLS13) return RECORD_HEADER_BYTES + 1 + TAG_BYTES
  return RECORD_HEADER_BYTES + (hasExplicitNonce(version, aead) ? EXPLICIT_NONCE_BYTES : 0) + TAG_BYTES
}

/**
 * Whole TLS records of one direction, under one key. Which number a record has is the caller's business, who never seals
 * two under the same. Whoever makes one calls `free`.
 *
 * https://www.rfc-editor.org/rfc/rfc8446#section-5.2 and https://www.rfc-editor.org/rfc/rfc5246#section-6.2.3.3
 */
export class RecordCipher {
  /** What the last record that was opened is: a CONTENT. */
  content = 0
  readonly #version: TlsVersion
  readonly #iv: Buffer
  readonly #cipher: AeadCipher
  /** Where the explicit part of nonces begins; null where records carry none. */
  readonly #explicit: Buffer | null

  /**
   * `secret`: the traffic secret of TLS 1.3, or key and IV of TLS 1.2, one behind the other. `explicit`: 8 bytes that the
   * number of each record is mixed into, where TLS 1.2 has nonces that are sent.
   */
  constructor(version: TlsVersion, suite: TlsSuite, secret: Buffer, explicit: Buffer, seals: boolean) {
    const { key, iv } =
      version === TLS13 ? trafficKey(suite, secret.subarray(0, HASH_BYTES[suite.hash])) : split(suite, secret)
    this.#version = version
    this.#iv = Buffer.from(iv)
    this.#explicit = hasExplicitNonce(version, suite.aead) ? explicit : null
    this.#cipher = new AeadCipher(suite.aead, key, seals, nonce, extra)
    key.fill(0)
  }

  /** Seals `source[start, end)`, at most MOST_PLAINTEXT_BYTES, as record `number` into `target` at `at`; how many bytes it is. */
  seal(
    content: number,
    source: NativeBuffer,
    start: number,
    end: number,
    number: number,
    target: NativeBuffer,
    at: number,
  ): number {
    const plain = end - start
    const isNew = this.#version === TLS13
    const explicit = this.#explicit === null ? 0 : EXPLICIT_NONCE_BYTES
    const body = explicit + plain + (isNew ? 1 : 0) + TAG_BYTES
    writeHeader(target.bytes, at, isNew ? CONTENT.applicationData : content, body)
    this.#number(number)
    if (this.#explicit !== null) {
      mix(this.#explicit, 0, number, nonce.bytes, NONCE_BYTES - EXPLICIT_NONCE_BYTES)
      nonce.bytes.copy(target.bytes, at + RECORD_HEADER_BYTES, NONCE_BYTES - EXPLICIT_NONCE_BYTES)
    }
    const extraBytes = isNew ? copyHeader(target.bytes, at) : describe(number, content, plain)
    contentType.bytes[0] = content
    const sealedAt = at + RECORD_HEADER_BYTES + explicit
    const last = isNew ? 1 : 0
    this.#cipher.seal(plain === 0 ? NOTHING : source, start, end, contentType, last, extraBytes, target, sealedAt)
    return RECORD_HEADER_BYTES + body
  }

  /**
   * Opens the record `source[start, end)`, header included, into `target` at `at`; how many bytes of plaintext it has, or
   * NOT_GENUINE. What lies behind them in `target` may be overwritten, up to the length of the record.
   */
  open(source: NativeBuffer, start: number, end: number, number: number, target: NativeBuffer, at: number): number {
    const { bytes } = source
    const explicit = this.#explicit === null ? 0 : EXPLICIT_NONCE_BYTES
    const sealedAt = start + RECORD_HEADER_BYTES + explicit
    const plain = end - sealedAt - TAG_BYTES
    if (plain < 0) return NOT_GENUINE
    const isNew = this.#version === TLS13
    this.#number(number)
    if (explicit > 0)
      bytes.copy(nonce.bytes, NONCE_BYTES - EXPLICIT_NONCE_BYTES, sealedAt - EXPLICIT_NONCE_BYTES, sealedAt)
    const content = bytes[start] ?? 0
    const extraBytes = isNew ? copyHeader(bytes, start) : describe(number, content, plain)
    if (!this.#cipher.open(source, sealedAt, end, extraBytes, target, at)) return NOT_GENUINE
    if (!isNew) {
      this.content = content
      return plain
    }
    // The content's type is the last byte that is not padding.
    let last = at + plain - 1
    while (last >= at && target.bytes[last] === 0) last--
    this.content = last < at ? 0 : (target.bytes[last] ?? 0)
    return Math.max(last - at, 0)
  }

  free(): void {
    this.#cipher.free()
    this.#iv.fill(0)
  }

  #number(number: number): void {
    const iv = this.#iv
    if (iv.length === NONCE_BYTES) {
      iv.copy(nonce.bytes, 0, 0, NONCE_BYTES - EXPLICIT_NONCE_BYTES)
      mix(iv, NONCE_BYTES - EXPLICIT_NONCE_BYTES, number, nonce.bytes, NONCE_BYTES - EXPLICIT_NONCE_BYTES)
    } else iv.copy(nonce.bytes, 0)
  }
}

/** Key and IV of TLS 1.2. */
function split({ aead }: TlsSuite, secret: Buffer): TrafficKey {
  const keyBytes = KEY_BYTES[aead]
  return { key: Buffer.from(secret.subarray(0, keyBytes)), iv: secret.subarray(keyBytes, keyBytes + ivBytesOf(aead)) }
}

/** Eight bytes of `from`, XORed with `number`, big-endian. */
function mix(from: Buffer, fromAt: number, number: number, to: Buffer, toAt: number): void {
  to.writeUInt32BE((from.readUInt32BE(fromAt) ^ Math.floor(number / 2 ** 32)) >>> 0, toAt)
  to.writeUInt32BE((from.readUInt32BE(fromAt + 4) ^ number) >>> 0, toAt + 4)
}

function writeHeader(bytes: Buffer, at: number, content: number, body: number): void {
  bytes[at] = content
  bytes.writeUInt16BE(WIRE_VERSION, at + 1)
  bytes.writeUInt16BE(body, at + 3)
}

/** TLS 1.3 authenticates the header itself. */
function copyHeader(bytes: Buffer, at: number): number {
  bytes.copy(extra.bytes, 0, at, at + RECORD_HEADER_BYTES)
  return RECORD_HEADER_BYTES
}

/** TLS 1.2 authenticates number, type, version and length of the plaintext. */
function describe(number: number, content: number, plain: number): number {
  extra.bytes.writeUInt32BE(Math.floor(number / 2 ** 32), 0)
  extra.bytes.writeUInt32BE(number >>> 0, 4)
  writeHeader(extra.bytes, 8, content, plain)
  return extra.size
}
