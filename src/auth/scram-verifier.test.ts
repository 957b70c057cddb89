import assert from 'node:assert/strict'
import { test } from 'node:test'
import { buildScramVerifier, formatScramVerifier, parseVerifier } from './scram-verifier.ts'

// CREATE ROLE … PASSWORD 'pässword' in PostgreSQL 18.
const stored =
  'SCRAM-SHA-256$4096:IOHN1XTM7LoorA/SaVtTGg==$t2J+7M8nx6gx74Qjpk9XQHLoRbxgW8tHciHMtsr9/2I=:y9CEJFOlsXGJTe3io/I2vRqFYzOyUGyAsQJV1Vk36QQ='

test('a verifier that PostgreSQL stored is read, rebuilt from its password and written back unchanged', () => {
  const verifier = parseVerifier(stored)
  assert.ok(verifier?.kind === 'scram-sha-256')
  assert.deepEqual(buildScramVerifier('p\u00e4ssword', Buffer.from(verifier.salt, 'base64'), 4096), verifier)
  assert.equal(formatScramVerifier(verifier), stored)
})

test('an md5 hash is read as PostgreSQL reads it: 32 lower-case hex digits', () => {
  const hash = 'md5a3556571e93b0d20722ba62be61e8c2d'
  assert.deepEqual(parseVerifier(hash), { kind: 'md5', hash })
  assert.equal(parseVerifier(hash.toUpperCase()), null)
  assert.equal(parseVerifier(hash.slice(0, -1)), null)
  assert.equal(parseVerifier(`${hash}0`), null)
})

const key = Buffer.alloc(32).toString('base64')
const salt = Buffer.alloc(16).toString('base64')
const malformed: readonly string[] = [
  '',
  'secret',
  `SCRAM-SHA-1$4096:${salt}$${key}:${key}`,
  `SCRAM-SHA-256$0:${salt}$${key}:${key}`,
  `SCRAM-SHA-256$-1:${salt}$${key}:${key}`,
  `SCRAM-SHA-256$2147483648:${salt}$${key}:${key}`,
  `SCRAM-SHA-256$4096:$${key}:${key}`,
  `SCRAM-SHA-256$4096:!!!!$${key}:${key}`,
  `SCRAM-SHA-256$4096:${salt}$${key.slice(4)}:${key}`,
  `SCRAM-SHA-256$4096:${salt}$${key}:${key.slice(4)}`,
  `SCRAM-SHA-256$4096:${salt}$${key}`,
  `SCRAM-SHA-256$4096:${salt}$${key}:${key}:more`,
  `SCRAM-SHA-256$4096:${salt}$${key}:${key}\n`,
]
for (const text of malformed) {
  test(`${JSON.stringify(text)} is no verifier`, () => {
    assert.equal(parseVerifier(text), null)
  })
}
