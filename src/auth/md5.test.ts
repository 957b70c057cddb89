import assert from 'node:assert/strict'
import { test } from 'node:test'
import { buildMd5Verifier, md5Response, verifyMd5 } from './md5.ts'

const salt = Buffer.from([1, 2, 3, 4])

test('an md5 hash is the one that PostgreSQL stores', () => {
  // CREATE ROLE m5 PASSWORD 'sécret' in PostgreSQL 18 with password_encryption = md5.
  assert.deepEqual(buildMd5Verifier('s\u00e9cret', 'm5'), { kind: 'md5', hash: 'md54059a9b8c9517c619c499504f6f18e66' })
})

test('password and stored hash give the same response, which is right for its user and salt only', () => {
  const stored = buildMd5Verifier('secret', 'app')
  const response = md5Response({ kind: 'password', password: 'secret' }, 'app', salt)
  assert.match(response, /^md5[0-9a-f]{32}$/)
  assert.equal(md5Response(stored, 'app', salt), response)
  assert.ok(verifyMd5(response, stored, 'app', salt, true))
  assert.ok(verifyMd5(response, { kind: 'password', password: 'secret' }, 'app', salt, true))
  assert.ok(!verifyMd5(response, stored, 'app', Buffer.from([1, 2, 3, 5]), true))
  assert.ok(!verifyMd5(response, { kind: 'password', password: 'secret' }, 'other', salt, true))
  assert.ok(!verifyMd5(`${response.slice(0, -1)}x`, stored, 'app', salt, true))
  assert.ok(!verifyMd5('', stored, 'app', salt, true))
  assert.ok(!verifyMd5(`${response}0`, stored, 'app', salt, true))
})

test('the stored hash itself, taken for a response, is refused', () => {
  const stored = buildMd5Verifier('secret', 'app')
  assert.ok(!verifyMd5(stored.hash, stored, 'app', salt, true))
})

test('a user without an MD5 credential cannot log in, not even with what stands in for it', () => {
  const empty = md5Response({ kind: 'password', password: '' }, 'app', salt)
  assert.ok(!verifyMd5(empty, { kind: 'password', password: '' }, 'app', salt, false))
})
