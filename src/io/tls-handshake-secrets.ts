import koffi from 'koffi'
import { NativeBuffer } from './native.ts'
import { copyString, openssl } from './openssl.ts'
import { CONTENT, RECORD_HEADER_BYTES } from './record-cipher.ts'
import type { TlsRole } from './tls-context.ts'
import { keyBlock, TLS12, TLS13, type TrafficKey, tlsSuite } from './tls-key-schedule.ts'
import type { TlsTraffic } from './tls-session.ts'

const RANDOM_BYTES = 32
const SPACE = 0x20
/** The labels of the lines that matter: https://www.ietf.org/archive/id/draft-ietf-tls-keylogfile-05.html */
const MASTER = 'CLIENT_RANDOM'
const CLIENT = 'CLIENT_TRAFFIC_SECRET_0'
const SERVER = 'SERVER_TRAFFIC_SECRET_0'

/** Whose handshake OpenSSL is at work for. */
let current: TlsHandshakeSecrets | null = null

const keyLog = koffi.register(
  (_ssl: number, line: number): void => current?.note(copyString(line)),
  koffi.pointer(koffi.proto('void', ['uintptr_t', 'uintptr_t'])),
)

/** Has OpenSSL say the secrets of every handshake of the context, while a `TlsHandshakeSecrets` listens. */
export function logKeys(context: number): void {
  openssl.SSL_CTX_set_keylog_callback(context, Number(keyLog))
}

/**
 * What a handshake agrees on, so that its records can be carried on outside of OpenSSL. Secrets are never JavaScript
 * strings, which could not be overwritten.
 */
export class TlsHandshakeSecrets {
  readonly #secrets = new Map<string, Buffer>()
  readonly #sent = new FinishedScan()

  /** OpenSSL speaks of this handshake until `leave`. */
  enter(): void {
    current = this
  }

  leave(): void {
    current = null
  }

  /** A line of the key log. */
  note(line: Buffer): void {
    const label = line.toString('latin1', 0, line.indexOf(SPACE))
    if (label === MASTER || label === CLIENT || label === SERVER)
      this.#secrets.set(label, fromHex(line, line.lastIndexOf(SPACE) + 1))
    line.fill(0)
  }

  /** What leaves for the peer. */
  noteSent(bytes: Buffer, start: number, end: number): void {
    this.#sent.note(bytes, start, end)
  }

  /** After the handshake, when all of it has been sent; null when it is not one of those that can be carried on. */
  traffic(ssl: number, role: TlsRole): TlsTraffic | null {
    const version = openssl.SSL_version(ssl)
    const suite = tlsSuite(version, openssl.SSL_CIPHER_get_protocol_id(openssl.SSL_get_current_cipher(ssl)))
    if (suite === null) return null
    const explicitNonce = this.#sent.explicitNonce
    if (version === TLS13) {
      const [client, server] = [this.#secrets.get(CLIENT), this.#secrets.get(SERVER)]
      if (client === undefined || server === undefined) return null
      const [received, sent] = role === 'server' ? [client, server] : [server, client]
      return { version: TLS13, suite, received, sent, firstRecord: 0, explicitNonce }
    }
    const master = this.#secrets.get(MASTER)
    if (master === undefined) return null
    const keys = keyBlock(suite, master, random(ssl, 'client'), random(ssl, 'server'))
    const [received, sent] = role === 'server' ? [keys.client, keys.server] : [keys.server, keys.client]
    // Each side's Finished was record 0.
    return { version: TLS12, suite, received: join(received), sent: join(sent), firstRecord: 1, explicitNonce }
  }

  wipe(): void {
    for (const secret of this.#secrets.values()) secret.fill(0)
    this.#secrets.clear()
  }
}

/**
 * Finds the explicit nonce of our Finished message: the eight bytes at the beginning of the first handshake record after
 * the ChangeCipherSpec. No later record may have the same.
 */
class FinishedScan {
  readonly explicitNonce: Buffer = Buffer.alloc(8)
  readonly #header = Buffer.alloc(RECORD_HEADER_BYTES)
  /** Bytes of the record that have passed, header included, and all that it has. */
  #seen = 0
  #length = 0
  #isSealed = false

  note(bytes: Buffer, start: number, end: number): void {
    for (let at = start; at < end; at++) this.#next(bytes[at] ?? 0)
  }

  #next(byte: number): void {
    const at = this.#seen++
    if (at < RECORD_HEADER_BYTES) {
      this.#header[at] = byte
      if (this.#seen === RECORD_HEADER_BYTES) this.#length = RECORD_HEADER_BYTES + this.#header.readUInt16BE(3)
    } else if (this.#isSealed && at < RECORD_HEADER_BYTES + this.explicitNonce.length) {
      this.explicitNonce[at - RECORD_HEADER_BYTES] = byte
    }
    if (this.#seen < RECORD_HEADER_BYTES || this.#seen < this.#length) return
    if (this.#header[0] === CONTENT.changeCipherSpec) this.#isSealed = true
    this.#seen = 0
  }
}

function random(ssl: number, whose: TlsRole): Buffer {
  const target = NativeBuffer.allocate(RANDOM_BYTES)
  if (whose === 'client') openssl.SSL_get_client_random(ssl, target.address, RANDOM_BYTES)
  else openssl.SSL_get_server_random(ssl, target.address, RANDOM_BYTES)
  return target.bytes
}

function join({ key, iv }: TrafficKey): Buffer {
  return Buffer.concat([key, iv])
}

/** Without a string in between. */
function fromHex(text: Buffer, start: number): Buffer {
  const bytes = Buffer.alloc((text.length - start) >> 1)
  for (let at = 0; at < bytes.length; at++) {
    bytes[at] = (digit(text[start + 2 * at] ?? 0) << 4) | digit(text[start + 2 * at + 1] ?? 0)
  }
  return bytes
}

function digit(character: number): number {
  return character <= 0x39 ? character - 0x30 : (character | 0x20) - 0x57
}
