import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CleartextCredential } from './cleartext.ts'
import { verifyCleartext } from './cleartext.ts'
import { buildMd5Verifier } from './md5.ts'
import { buildScramVerifier } from './scram-verifier.ts'

const password = 'p\u00e4ss'
const credentials: readonly CleartextCredential[] = [
  { kind: 'password', password },
  buildMd5Verifier(password, 'app'),
  buildScramVerifier(password, Buffer.alloc(16, 5), 4096),
]
for (const credential of credentials) {
  test(`a clear-text password is checked against ${credential.kind}`, () => {
    assert.ok(verifyCleartext(password, credential, 'app', true))
    assert.ok(!verifyCleartext('pass', credential, 'app', true))
    assert.ok(!verifyCleartext(`${password}s`, credential, 'app', true))
    assert.ok(!verifyCleartext(password, credential, 'app', false), 'a mock lets nobody in')
  })
}

test('a password is prepared before it is compared with the one that the operator wrote', () => {
  assert.ok(verifyCleartext('pa\u0308ss', { kind: 'password', password }, 'app', true))
})

test('an empty password is wrong even where it would be the right one', () => {
  assert.ok(!verifyCleartext('', { kind: 'password', password: '' }, 'app', true))
  assert.ok(!verifyCleartext('', buildScramVerifier('', Buffer.alloc(16), 2), 'app', true))
})
