import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import fc from 'fast-check'
import { tlsServerEndPoint } from './tls-server-end-point.ts'

// Made with `openssl req -x509`, the keys were thrown away.
function certificate(name: string): Buffer {
  return readFileSync(new URL(`fixtures/${name}.der`, import.meta.url))
}

const rows: readonly (readonly [string, string])[] = [
  ['ecdsa-sha1', 'sha256'],
  ['ecdsa-sha256', 'sha256'],
  ['ecdsa-sha384', 'sha384'],
  ['ecdsa-sha512-two-names', 'sha512'],
  ['rsa-sha512', 'sha512'],
  ['rsa-pss-sha256', 'sha256'],
  ['rsa-pss-sha1', 'sha256'],
]

const signatures: { signatureAlgorithmHashFromCertificate(der: Buffer, index?: number): string } = createRequire(
  import.meta.url,
)('pg/lib/crypto/cert-signatures.js')

for (const [name, hash] of rows) {
  test(`a certificate signed with ${name} is bound by its ${hash}, as node-postgres does`, () => {
    const der = certificate(name)
    assert.deepEqual(tlsServerEndPoint(der), createHash(hash).update(der).digest())
    if (name === 'rsa-pss-sha1') return
    const theirs = signatures.signatureAlgorithmHashFromCertificate(der)
    assert.equal(theirs === 'SHA-1' ? 'sha256' : theirs.replace('SHA-', 'sha'), hash)
  })
}

test('an Ed25519 certificate has no binding: PostgreSQL knows no hash for it either', () => {
  assert.equal(tlsServerEndPoint(certificate('ed25519-no-name')), null)
})

test('a certificate cut anywhere before its signature has no binding, and nothing makes it throw', () => {
  const der = certificate('rsa-pss-sha256')
  for (let length = 0; length < der.length; length++) assert.equal(tlsServerEndPoint(der.subarray(0, length)), null)
  fc.assert(fc.property(fc.uint8Array(), (bytes) => tlsServerEndPoint(Buffer.from(bytes)) === null))
})
