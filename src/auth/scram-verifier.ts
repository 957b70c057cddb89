import type { ScramVerifier, Verifier } from '../shard/plane-values.ts'
import { deriveScramKeys, scramKeyBytes, storedKeyOf } from './scram-keys.ts'
import { decodeBase64 } from './scram-messages.ts'

/** PostgreSQL's `SCRAM_SHA_256_DEFAULT_ITERATIONS`. */
export const defaultScramIterations = 4096

/** PostgreSQL's `SCRAM_DEFAULT_SALT_LEN`, in bytes. */
export const scramSaltBytes = 16

const scramText = /^SCRAM-SHA-256\$([1-9][0-9]{0,9}):([^:$]+)\$([^:$]+):([^:$]+)$/
const md5Text = /^md5[0-9a-f]{32}$/

/** What to store for a password. `salt` is `scramSaltBytes` random bytes. Costs one PBKDF2. */
export function buildScramVerifier(password: string, salt: Uint8Array, iterations: number): ScramVerifier {
  const { clientKey, serverKey } = deriveScramKeys(password, salt, iterations)
  return {
    kind: 'scram-sha-256',
    iterations,
    salt: Buffer.from(salt).toString('base64'),
    storedKey: storedKeyOf(clientKey).toString('base64'),
    serverKey: serverKey.toString('base64'),
  }
}

/**
 * A stored password as `pg_authid.rolpassword` holds it, or null where PostgreSQL would not take it for a verifier
 * either (it would then be a clear-text password, which it never stores).
 * https://www.postgresql.org/docs/current/catalog-pg-authid.html
 */
export function parseVerifier(text: string): Verifier | null {
  if (md5Text.test(text)) return { kind: 'md5', hash: text }
  const match = scramText.exec(text)
  if (match === null) return null
  const [, digits = '', salt = '', storedKey = '', serverKey = ''] = match
  const iterations = Number(digits)
  if (iterations > 0x7fffffff || decodeBase64(salt) === null) return null
  if (decodeBase64(storedKey)?.length !== scramKeyBytes || decodeBase64(serverKey)?.length !== scramKeyBytes)
    return null
  return { kind: 'scram-sha-256', iterations, salt, storedKey, serverKey }
}

/** The inverse of `parseVerifier`: what `ALTER ROLE … PASSWORD` takes. */
export function formatScramVerifier(verifier: ScramVerifier): string {
  return `SCRAM-SHA-256$${verifier.iterations}:${verifier.salt}$${verifier.storedKey}:${verifier.serverKey}`
}
