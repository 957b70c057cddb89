import { createHash } from 'node:crypto'
import type { Verifier } from '../shard/plane-values.ts'
import { equalConstantTime } from './constant-time.ts'
import { buildMd5Verifier } from './md5.ts'
import { preparePassword } from './saslprep.ts'
import { deriveScramKeys } from './scram-keys.ts'

/** What a clear-text password is checked against. */
export type CleartextCredential = { readonly kind: 'password'; readonly password: string } | Verifier

/**
 * Whether a PasswordMessage in clear text is right (method `password`; PostgreSQL's `plain_crypt_verify`).
 * With a SCRAM verifier this costs one PBKDF2. For users that do not exist pass a `MockAccount`'s and `genuine: false`:
 * the same work is done, and the answer is no. An empty password is always wrong, as in PostgreSQL.
 */
export function verifyCleartext(
  password: string,
  credential: CleartextCredential,
  user: string,
  genuine: boolean,
): boolean {
  return isRight(password, credential, user) && genuine && password !== ''
}

function isRight(password: string, credential: CleartextCredential, user: string): boolean {
  switch (credential.kind) {
    case 'scram-sha-256': {
      const { serverKey } = deriveScramKeys(password, Buffer.from(credential.salt, 'base64'), credential.iterations)
      return equalConstantTime(serverKey, Buffer.from(credential.serverKey, 'base64'))
    }
    case 'md5':
      return equalConstantTime(
        Buffer.from(buildMd5Verifier(password, user).hash, 'latin1'),
        Buffer.from(credential.hash, 'latin1'),
      )
    case 'password':
      // Digests, so that the time does not tell the length either.
      return equalConstantTime(digest(password), digest(credential.password))
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(preparePassword(text), 'utf8').digest()
}
