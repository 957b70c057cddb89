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

function element(tag: number, ...content: readonly Buffer[]): Buffer {
  const body = Buffer.concat(content)
  return Buffer.concat([Buffer.from([tag, body.length]), body])
}
const body = element(0x30)
const sha256WithRsa = element(0x06, Buffer.from('2a864886f70d01010b', 'hex'))
const rsaPss = element(0x06, Buffer.from('2a864886f70d01010a', 'hex'))
const sha384 = element(0x06, Buffer.from('608648016503040202', 'hex'))

test('the shortest certificates of this shape have the binding that their algorithm says', () => {
  const simple = element(0x30, body, element(0x30, sha256WithRsa))
  assert.deepEqual(tlsServerEndPoint(simple), createHash('sha256').update(simple).digest())
  const pss = element(0x30, body, element(0x30, rsaPss, element(0x30, element(0xa0, element(0x30, sha384)))))
  assert.deepEqual(tlsServerEndPoint(pss), createHash('sha384').update(pss).digest())
})

const malformed: readonly (readonly [string, Buffer])[] = [
  ['another tag outside', element(0x31, body, element(0x30, sha256WithRsa))],
  ['another tag in place of the body', element(0x30, element(0x31), element(0x30, sha256WithRsa))],
  ['no algorithm', element(0x30, body)],
  ['an algorithm without a name', element(0x30, body, element(0x30))],
  ['an algorithm nobody knows', element(0x30, body, element(0x30, element(0x06, Buffer.from([1, 2]))))],
  ['RSA-PSS without parameters', element(0x30, body, element(0x30, rsaPss))],
  ['RSA-PSS with an empty hash', element(0x30, body, element(0x30, rsaPss, element(0x30, element(0xa0))))],
  ['an indefinite length', Buffer.concat([Buffer.from([0x30, 0x80]), body, element(0x30, sha256WithRsa)])],
  [
    'a length of five bytes',
    Buffer.concat([Buffer.from([0x30, 0x85, 0, 0, 0, 0, 13]), body, element(0x30, sha256WithRsa)]),
  ],
]
for (const [name, der] of malformed) {
  test(`a certificate with ${name} has no binding`, () => {
    assert.equal(tlsServerEndPoint(der), null)
  })
}
