import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { checkCertificateName } from './certificate-name.ts'

function certificate(name: string): Buffer {
  return readFileSync(new URL(`fixtures/${name}.der`, import.meta.url))
}

test('a certificate is for the user that its common name says', () => {
  assert.deepEqual(checkCertificateName(certificate('ecdsa-sha256'), 'alice'), { kind: 'match' })
  assert.deepEqual(checkCertificateName(certificate('ecdsa-sha384'), '\u00e4lice, b'), { kind: 'match' })
})

const rows: readonly (readonly [string, Buffer | null, string, RegExp])[] = [
  ['no certificate', null, 'alice', /sent no certificate/],
  ['another user', certificate('ecdsa-sha256'), 'Alice', /is for "alice", not for user "Alice"/],
  ['another attribute of the subject', certificate('ecdsa-sha256'), 'Example', /is for "alice"/],
  ['the first of two common names', certificate('ecdsa-sha512-two-names'), 'alice', /more than one/],
  ['the second of two common names', certificate('ecdsa-sha512-two-names'), 'bob', /more than one/],
  ['a subject without a common name', certificate('ed25519-no-name'), 'Example', /no common name/],
  ['bytes that are no certificate', Buffer.from('alice'), 'alice', /cannot be read/],
  ['an empty user', certificate('ed25519-no-name'), '', /no common name/],
]
for (const [name, der, user, reason] of rows) {
  test(`a certificate does not let in: ${name}`, () => {
    const verdict = checkCertificateName(der, user)
    assert.ok(verdict.kind === 'mismatch')
    assert.match(verdict.reason, reason)
  })
}
