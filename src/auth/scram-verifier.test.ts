import assert from 'node:assert/strict'
import { test } from 'node:test'
import { buildScramVerifier, formatScramVerifier, mockVerifier, parseVerifier } from './scram-verifier.ts'

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

test('a mock verifier is the same each time, differs by user and by secret, and looks like a genuine one', () => {
  const secret = Buffer.alloc(32, 1)
  const mock = mockVerifier('nobody', secret)
  assert.deepEqual(mockVerifier('nobody', secret), mock)
  assert.notEqual(mockVerifier('nobody2', secret).salt, mock.salt)
  assert.notEqual(mockVerifier('nobody', Buffer.alloc(32, 2)).salt, mock.salt)
  assert.equal(mock.salt.length, salt.length)
  assert.equal(mock.iterations, 4096)
  assert.equal(mockVerifier('nobody', secret, 10_000).iterations, 10_000)
  assert.deepEqual(parseVerifier(formatScramVerifier(mock)), mock)
})
