import { createHash } from 'node:crypto'
import type { Md5Verifier } from '../shard/plane-values.ts'
import { equalConstantTime } from './constant-time.ts'

/** What MD5 authentication starts from: the clear-text password, or what PostgreSQL stores for it. */
export type Md5Credential = { readonly kind: 'password'; readonly password: string } | Md5Verifier

/** `md5` + hex(md5(password + user)), as PostgreSQL stores it. */
export function buildMd5Verifier(password: string, user: string): Md5Verifier {
  return { kind: 'md5', hash: `md5${hexDigest(Buffer.from(password + user, 'utf8'))}` }
}

/**
 * The text of a PasswordMessage that answers AuthenticationMD5Password with its 4 bytes of `salt`.
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-START-UP
 */
export function md5Response(credential: Md5Credential, user: string, salt: Uint8Array): string {
  const { hash } = credential.kind === 'md5' ? credential : buildMd5Verifier(credential.password, user)
  return `md5${hexDigest(Buffer.concat([Buffer.from(hash.slice('md5'.length), 'latin1'), salt]))}`
}

/**
 * Whether `response`, the client's PasswordMessage without its terminating zero, answers `salt`. For a user that does not
 * exist or cannot use MD5 pass any credential of the kind that others have and `genuine: false`: the same work is done,
 * and the answer is no.
 */
export function verifyMd5(
  response: string,
  credential: Md5Credential,
  user: string,
  salt: Uint8Array,
  genuine: boolean,
): boolean {
  const expected = md5Response(credential, user, salt)
  return equalConstantTime(Buffer.from(response, 'utf8'), Buffer.from(expected, 'latin1')) && genuine
}

function hexDigest(bytes: Uint8Array): string {
  return createHash('md5').update(bytes).digest('hex')
}
