import { duration } from '../duration.ts'
import { accepted, choice, notAllowed, refused, secret, text, type ValueType } from '../value-type.ts'

// PostgreSQL cuts names at NAMEDATALEN - 1 = 63 bytes; a longer one would name something else there.
const maxNameBytes = 63

/** A role or database as PostgreSQL names it. */
export const postgresName: ValueType<string> = {
  unit: '',
  allowed: 'a name of 1 to 63 bytes without control characters',
  secret: false,
  jsonSchema: { type: 'string', minLength: 1, maxLength: maxNameBytes },
  read: (found) => (typeof found === 'string' && isName(found) ? accepted(found) : notAllowed),
  show: (value) => value,
}

function isName(found: string): boolean {
  return found !== '' && Buffer.byteLength(found) <= maxNameBytes && !/\p{Cc}/u.test(found)
}

/** A name in an access rule. `pg_hba.conf` knows more than names; what is not read here must not pass for one. */
export const ruleName: ValueType<string> = {
  ...postgresName,
  read: (found, context) => {
    if (found === 'samerole' || found === 'samegroup' || (typeof found === 'string' && found.startsWith('+'))) {
      return refused('role membership is known to the shards only; list the names')
    }
    if (typeof found === 'string' && /^[/@]/.test(found)) {
      return refused('patterns and files of names are not read here; list the names')
    }
    return postgresName.read(found, context)
  },
}

/** A shard's or group's name: it appears in metrics, logs and console commands unquoted. */
export const plainName = text(
  'a name of letters, digits, "_", "-" and "." (at most 63)',
  /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$/,
  maxNameBytes,
)

const scramVerifier = /^SCRAM-SHA-256\$[1-9]\d{0,9}:[A-Za-z0-9+/]+={0,2}\$[A-Za-z0-9+/]{43}=:[A-Za-z0-9+/]{43}=$/
const md5Verifier = /^md5[0-9a-f]{32}$/

/** Whether a password is in one of the forms that PostgreSQL stores, and so is none that one can log in with. */
export function isVerifier(password: string): boolean {
  return scramVerifier.test(password) || md5Verifier.test(password)
}

/** Whether `password` is a verifier of MD5, which no SCRAM exchange can be checked against. */
export function isMd5Verifier(password: string): boolean {
  return md5Verifier.test(password)
}

/** What a client's password is checked against. */
export const clientPassword = secret(
  'a password, or a verifier as pg_authid.rolpassword holds it ("SCRAM-SHA-256$…" whole and unchanged, or "md5…")',
  (value) => scramVerifier.test(value) || !value.startsWith('SCRAM-SHA-256$'),
)

/** What Switchyard itself logs in to shards with. */
export const serverPassword = secret(
  'the password itself, not a verifier ("SCRAM-SHA-256$…" or "md5…"), for one cannot log in with that',
  (value) => !isVerifier(value),
)

/** How long a server connection belongs to one client. */
export const poolMode = choice('transaction', 'session')

/** Timers count in 32-bit milliseconds: 24 days is the last whole day below 2^31 of them. */
const longestMs = 24 * 86_400_000

/** A duration that may be switched off with 0. */
export function limitDuration(off = 'no limit') {
  return duration(0, longestMs, off)
}
