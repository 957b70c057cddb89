import { createHmac } from 'node:crypto'

/** An AEAD suite: what a record is sealed with, and the hash of its key schedule. */
export interface TlsSuite {
  /** As on the wire: https://www.iana.org/assignments/tls-parameters/tls-parameters.xhtml#tls-parameters-4 */
  readonly id: number
  readonly aead: 'aes-128-gcm' | 'aes-256-gcm' | 'chacha20-poly1305'
  readonly hash: 'sha256' | 'sha384'
}

const TLS13_SUITES: readonly TlsSuite[] = [
  { id: 0x1301, aead: 'aes-128-gcm', hash: 'sha256' },
  { id: 0x1302, aead: 'aes-256-gcm', hash: 'sha384' },
  { id: 0x1303, aead: 'chacha20-poly1305', hash: 'sha256' },
]
/** ECDHE with ECDSA and RSA certificates. */
const TLS12_SUITES: readonly TlsSuite[] = [
  { id: 0xc02b, aead: 'aes-128-gcm', hash: 'sha256' },
  { id: 0xc02c, aead: 'aes-256-gcm', hash: 'sha384' },
  { id: 0xc02f, aead: 'aes-128-gcm', hash: 'sha256' },
  { id: 0xc030, aead: 'aes-256-gcm', hash: 'sha384' },
  { id: 0xcca8, aead: 'chacha20-poly1305', hash: 'sha256' },
  { id: 0xcca9, aead: 'chacha20-poly1305', hash: 'sha256' },
]

export const TLS12 = 0x303
export const TLS13 = 0x304
export type TlsVersion = typeof TLS12 | typeof TLS13

/** Null: none whose records can be carried on. */
export function tlsSuite(version: number, id: number): TlsSuite | null {
  const suites = version === TLS13 ? TLS13_SUITES : version === TLS12 ? TLS12_SUITES : []
  return suites.find((suite) => suite.id === id) ?? null
}

export const KEY_BYTES = { 'aes-128-gcm': 16, 'aes-256-gcm': 32, 'chacha20-poly1305': 32 } as const
export const HASH_BYTES = { sha256: 32, sha384: 48 } as const
export const NONCE_BYTES = 12
/** Of the nonces of TLS 1.2 with AES-GCM, the part that is a secret; each record carries the rest. */
const GCM_SALT_BYTES = 4

/** What one direction seals or opens with. `iv`: 12 bytes that the record number is mixed into, or 4 of TLS 1.2's AES-GCM. */
export interface TrafficKey {
  readonly key: Buffer
  readonly iv: Buffer
}

/** HKDF-Expand-Label for at most one block of the hash, without context (https://www.rfc-editor.org/rfc/rfc8446#section-7.1). */
function expandLabel(hash: TlsSuite['hash'], secret: Buffer, label: string, bytes: number): Buffer {
  const name = Buffer.from(`tls13 ${label}`, 'latin1')
  const info = Buffer.concat([Buffer.from([bytes >> 8, bytes & 0xff, name.length]), name, Buffer.from([0, 1])])
  return createHmac(hash, secret).update(info).digest().subarray(0, bytes)
}

/** Key and IV of a TLS 1.3 traffic secret (https://www.rfc-editor.org/rfc/rfc8446#section-7.3). */
export function trafficKey({ aead, hash }: TlsSuite, secret: Buffer): TrafficKey {
  return {
    key: expandLabel(hash, secret, 'key', KEY_BYTES[aead]),
    iv: expandLabel(hash, secret, 'iv', NONCE_BYTES),
  }
}

/** The traffic secret after a KeyUpdate (https://www.rfc-editor.org/rfc/rfc8446#section-7.2). */
export function nextTrafficSecret({ hash }: TlsSuite, secret: Buffer): Buffer {
  return expandLabel(hash, secret, 'traffic upd', HASH_BYTES[hash])
}

/** The pseudorandom function of TLS 1.2 (https://www.rfc-editor.org/rfc/rfc5246#section-5). */
function expandSecret(hash: TlsSuite['hash'], secret: Buffer, seed: Buffer, bytes: number): Buffer {
  const blocks: Buffer[] = []
  let length = 0
  for (let a = seed; length < bytes; ) {
    a = createHmac(hash, secret).update(a).digest()
    const block = createHmac(hash, secret).update(a).update(seed).digest()
    blocks.push(block)
    length += block.length
  }
  return Buffer.concat(blocks).subarray(0, bytes)
}

/** What client and server write with in TLS 1.2: its key block (https://www.rfc-editor.org/rfc/rfc5246#section-6.3). */
export function keyBlock(
  { aead, hash }: TlsSuite,
  masterSecret: Buffer,
  clientRandom: Buffer,
  serverRandom: Buffer,
): { readonly client: TrafficKey; readonly server: TrafficKey } {
  const keyBytes = KEY_BYTES[aead]
  const ivBytes = ivBytesOf(aead)
  const seed = Buffer.concat([Buffer.from('key expansion', 'latin1'), serverRandom, clientRandom])
  const block = expandSecret(hash, masterSecret, seed, 2 * (keyBytes + ivBytes))
  const ivs = 2 * keyBytes
  return {
    client: { key: block.subarray(0, keyBytes), iv: block.subarray(ivs, ivs + ivBytes) },
    server: { key: block.subarray(keyBytes, ivs), iv: block.subarray(ivs + ivBytes) },
  }
}

/** Length of an IV of TLS 1.2. */
export function ivBytesOf(aead: TlsSuite['aead']): number {
  return hasExplicitNonce(TLS12, aead) ? GCM_SALT_BYTES : NONCE_BYTES
}

/** Whether each record carries 8 bytes of its nonce: AES-GCM in TLS 1.2 (https://www.rfc-editor.org/rfc/rfc5288#section-3). */
export function hasExplicitNonce(version: TlsVersion, aead: TlsSuite['aead']): boolean {
  return version === TLS12 && aead !== 'chacha20-poly1305'
}
