import assert from 'node:assert/strict'
import { test } from 'node:test'
import { buildScramVerifier, defaultScramIterations, formatScramVerifier } from '../../auth/scram-verifier.ts'
import { VerifierCache } from './verifier-cache.ts'

const secret = Buffer.alloc(32, 1)

test('a verifier belongs to its password', () => {
  const { verifier, password } = new VerifierCache(secret).credentials('app', 'hunter2')
  assert.ok(verifier.kind === 'scram-sha-256')
  const salt = Buffer.from(verifier.salt, 'base64')
  assert.equal(salt.length, 16)
  assert.deepEqual(buildScramVerifier('hunter2', salt, defaultScramIterations), verifier)
  assert.equal(password, 'hunter2')
})

test('an unchanged password is not derived a second time', () => {
  const cache = new VerifierCache(secret)
  assert.equal(cache.credentials('app', 'hunter2'), cache.credentials('app', 'hunter2'))
})

test('the salt is the same in every cache of one secret, and another for any other user, password or secret', () => {
  const salt = (key: Buffer, user: string, password: string): string => {
    const { verifier } = new VerifierCache(key).credentials(user, password)
    return verifier.kind === 'scram-sha-256' ? verifier.salt : ''
  }
  const first = salt(secret, 'app', 'hunter2')
  assert.equal(salt(secret, 'app', 'hunter2'), first)
  const others = [
    salt(secret, 'app', 'hunter3'),
    salt(secret, 'ap', 'phunter2'),
    salt(secret, 'apphunter2', ''),
    salt(Buffer.alloc(32, 2), 'app', 'hunter2'),
  ]
  assert.equal(new Set([first, ...others]).size, 5)
})

test('a changed password replaces the verifier', () => {
  const cache = new VerifierCache(secret)
  const before = cache.credentials('app', 'hunter2')
  const after = cache.credentials('app', 'hunter3')
  assert.notDeepEqual(after.verifier, before.verifier)
  assert.equal(cache.credentials('app', 'hunter3'), after)
})

test('a stored verifier is taken as it is, and no password is known', () => {
  const stored = buildScramVerifier('hunter2', Buffer.alloc(16, 3), 4096)
  assert.deepEqual(new VerifierCache(secret).credentials('app', formatScramVerifier(stored)), {
    verifier: stored,
    password: null,
  })
})

test('whoever is not kept is forgotten, the others are not', () => {
  const cache = new VerifierCache(secret)
  const [a, b] = [cache.credentials('a', 'x'), cache.credentials('b', 'x')]
  cache.keepOnly(['a'])
  assert.equal(cache.credentials('a', 'x'), a)
  assert.notEqual(cache.credentials('b', 'x'), b)
})
