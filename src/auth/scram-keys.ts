import { createHash, createHmac, pbkdf2Sync } from 'node:crypto'
import { preparePassword } from './saslprep.ts'

/** Bytes of every SCRAM-SHA-256 key, signature and proof. */
export const scramKeyBytes = 32

export interface ScramKeys {
  readonly clientKey: Buffer
  readonly serverKey: Buffer
}

/**
 * The two keys of a password (RFC 5802 §3). Costs `iterations` rounds of PBKDF2, about 0.5 µs each: keep the result
 * (`ScramKeyCache`) where it is needed more than once.
 */
export function deriveScramKeys(password: string, salt: Uint8Array, iterations: number): ScramKeys {
  const saltedPassword = pbkdf2Sync(preparePassword(password), salt, iterations, scramKeyBytes, 'sha256')
  return { clientKey: hmacSha256(saltedPassword, 'Client Key'), serverKey: hmacSha256(saltedPassword, 'Server Key') }
}

/** H(ClientKey): what a server stores, and cannot log in with. */
export function storedKeyOf(clientKey: Uint8Array): Buffer {
  return createHash('sha256').update(clientKey).digest()
}

/** `text` is hashed as Latin-1: SCRAM messages are kept so, that every byte of the peer survives the round trip. */
export function hmacSha256(key: Uint8Array, text: string): Buffer {
  return createHmac('sha256', key).update(text, 'latin1').digest()
}

/** ClientProof from ClientKey and back again. Both are `scramKeyBytes` long. */
export function xorKeys(a: Uint8Array, b: Uint8Array): Buffer {
  const result = Buffer.alloc(scramKeyBytes)
  for (let i = 0; i < scramKeyBytes; i++) result[i] = (a[i] ?? 0) ^ (b[i] ?? 0)
  return result
}
