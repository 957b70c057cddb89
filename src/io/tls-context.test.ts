import assert from 'node:assert/strict'
import { createHash, createPrivateKey, generateKeyPairSync, type KeyObject, sign, X509Certificate } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { CertificateAuthority } from '../../test/support/certificates.ts'
import {
  bits,
  boolean,
  integer,
  octets,
  oid,
  sequence,
  setOf,
  tagged,
  time,
  utf8,
} from '../../test/support/der-writer.ts'
import { ConfigError } from '../errors.ts'
import { NativeBuffer } from './native.ts'
import { takeErrors } from './openssl.ts'
import { type TlsClientContextOptions, TlsContext, type TlsServerContextOptions } from './tls-context.ts'
import { TlsTestPair } from './tls-test-pair.ts'

const authority = new CertificateAuthority('Example CA')
const server = authority.issue({ commonName: 'db.example.com', names: ['db.example.com'] })
const other = authority.issue({ commonName: 'other.example.com' })

const serverOptions: TlsServerContextOptions = {
  certificatePem: server.certificate,
  keyPem: server.key,
  caPem: null,
  verify: 'none',
  minVersion: 'TLSv1.2',
  alpn: ['postgresql'],
}
const clientOptions: TlsClientContextOptions = { caPem: null, certificatePem: null, keyPem: null, verify: 'none' }

const encryptedKey = createPrivateKey(server.key)
  .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'secret' })
  .toString()
const traditionalEncryptedKey = createPrivateKey(server.key)
  .export({ type: 'sec1', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'secret' })
  .toString()
const damaged = (pem: string): string => pem.replace(/\n.{20}/, '\nAAAAAAAAAAAAAAAAAAAA')

const serverMistakes: readonly (readonly [string, Partial<TlsServerContextOptions>, RegExp])[] = [
  ['no certificate in the certificate', { certificatePem: server.key }, /`certificate` holds no certificate/],
  ['a damaged certificate', { certificatePem: damaged(server.certificate) }, /`certificate` is damaged: certificate 1/],
  [
    'a damaged intermediate',
    { certificatePem: server.certificate + damaged(other.certificate) },
    /`certificate` is damaged: certificate 2 of 2 cannot be read/,
  ],
  ['no key in the key', { keyPem: server.certificate }, /`key` holds no private key/],
  ['a damaged key', { keyPem: damaged(server.key) }, /`key` is damaged/],
  ['an encrypted key', { keyPem: encryptedKey }, /`key` is encrypted.*openssl pkey/],
  ['an encrypted key of the old form', { keyPem: traditionalEncryptedKey }, /`key` is encrypted/],
  ["somebody else's key", { keyPem: other.key }, /`key` does not belong to the first certificate/],
  ['a key of another kind', { keyPem: rsaKey() }, /`key` does not belong to the first certificate/],
  ['no ca for client certificates', { verify: 'request' }, /cannot be checked without the `ca`/],
  ['nothing in the ca', { verify: 'require', caPem: '' }, /`ca` holds no certificate/],
  ['an empty protocol name', { alpn: [''] }, /from 1 to 255 bytes/],
]

for (const [title, mistake, message] of serverMistakes) {
  test(`a server context with ${title} is refused with a sentence that says so`, () => {
    assert.throws(() => TlsContext.forServer({ ...serverOptions, ...mistake }), checked(message))
    assert.deepEqual(takeErrors(), [], 'nothing stays in the error queue')
  })
}

const clientMistakes: readonly (readonly [string, Partial<TlsClientContextOptions>, RegExp])[] = [
  ['a certificate without a key', { certificatePem: server.certificate }, /a `certificate` without a `key`/],
  ['a key without a certificate', { keyPem: server.key }, /a `key` without a `certificate`/],
  ['verify-ca and no ca', { verify: 'ca' }, /verify-ca needs a `ca`/],
  ['a damaged ca', { verify: 'full', caPem: damaged(authority.certificate) }, /`ca` is damaged/],
]

for (const [title, mistake, message] of clientMistakes) {
  test(`a client context with ${title} is refused with a sentence that says so`, () => {
    assert.throws(() => TlsContext.forClient({ ...clientOptions, ...mistake }), checked(message))
  })
}

test('a freed context makes no more channels, and freeing it twice does nothing', () => {
  const context = TlsContext.forClient(clientOptions)
  context.free()
  context.free()
  assert.throws(() => context.address, /was freed/)
})

test('a server tells its clients which CAs their certificate may come from', () => {
  const clients = new CertificateAuthority('CA of the clients')
  const pair = new TlsTestPair(
    { certificatePem: server.certificate, keyPem: server.key, verify: 'request', caPem: clients.certificate },
    {},
    { version: 'TLSv1.2' },
  )
  pair.client.handshake()
  pair.carry(pair.client, pair.server)
  pair.server.handshake()
  const wire = NativeBuffer.allocate(16 * 1024)
  assert.ok(wire.bytes.subarray(0, pair.server.drain(wire, 0, wire.size)).includes('CA of the clients'))
  pair.free()
})

test('verify-full without a ca trusts the CAs of the system', () => {
  const directory = mkdtempSync(join(tmpdir(), 'switchyard-tls-'))
  const before = process.env.SSL_CERT_FILE
  process.env.SSL_CERT_FILE = join(directory, 'system.pem')
  try {
    writeFileSync(process.env.SSL_CERT_FILE, authority.certificate)
    const pair = new TlsTestPair(
      { certificatePem: server.certificate, keyPem: server.key },
      { verify: 'full' },
      { serverName: 'db.example.com' },
    )
    assert.deepEqual(pair.handshake(), { server: 'done', client: 'done' }, pair.client.failure ?? '')
    pair.free()
  } finally {
    if (before === undefined) delete process.env.SSL_CERT_FILE
    else process.env.SSL_CERT_FILE = before
    rmSync(directory, { recursive: true })
  }
})

test('intermediates behind the certificate are sent, so that the root alone is trusted', () => {
  const root = issue({ subject: 'Root', authority: true })
  const intermediate = issue({ subject: 'Intermediate', authority: true, issuer: root })
  const leaf = issue({ subject: 'db.example.com', issuer: intermediate })
  const client = { verify: 'full', caPem: root.certificate } as const
  const named = { serverName: 'db.example.com' }
  const whole = new TlsTestPair(
    { certificatePem: leaf.certificate + intermediate.certificate, keyPem: leaf.key },
    client,
    named,
  )
  assert.deepEqual(whole.handshake(), { server: 'done', client: 'done' }, whole.client.failure ?? '')
  whole.free()
  const bare = new TlsTestPair({ certificatePem: leaf.certificate, keyPem: leaf.key }, client, named)
  assert.equal(bare.handshake().client, 'failed')
  assert.match(bare.client.failure ?? '', /unable to get local issuer certificate/)
  bare.free()
})

for (const [digest, hash] of [
  ['sha1', 'sha256'],
  ['sha256', 'sha256'],
  ['sha384', 'sha384'],
  ['sha512', 'sha512'],
] as const) {
  test(`the channel binding of a certificate signed with ${digest} is its ${hash} hash, on both sides`, () => {
    const certificate = issue({ subject: 'db.example.com', digest })
    const expected = createHash(hash).update(new X509Certificate(certificate.certificate).raw).digest()
    const options = { certificatePem: certificate.certificate, keyPem: certificate.key }
    const context = TlsContext.forServer({ ...serverOptions, ...options })
    assert.deepEqual(context.certificateHash, expected)
    context.free()
    const pair = new TlsTestPair(options, {})
    pair.handshake()
    assert.deepEqual(pair.client.peerCertificate()?.hash, expected)
    pair.free()
  })
}

test('a certificate whose signature has no digest has no channel binding, and works', () => {
  const certificate = issue({ subject: 'db.example.com', keyType: 'ed25519' })
  const options = { certificatePem: certificate.certificate, keyPem: certificate.key }
  const context = TlsContext.forServer({ ...serverOptions, ...options })
  assert.equal(context.certificateHash, null)
  context.free()
  const pair = new TlsTestPair(options, {})
  assert.deepEqual(pair.handshake(), { server: 'done', client: 'done' })
  assert.equal(pair.client.peerCertificate()?.hash, null)
  pair.free()
})

test('a common name with a zero byte in it is no name, and the whole subject is shown escaped', () => {
  const certificate = issue({ subject: 'admin\0.example.com' })
  const pair = new TlsTestPair({ certificatePem: certificate.certificate, keyPem: certificate.key }, {})
  pair.handshake()
  assert.equal(pair.client.peerCertificate()?.commonName, null)
  assert.equal(pair.client.peerCertificate()?.subject, 'CN=admin\\00.example.com')
  pair.free()
})

test('a common name beyond ASCII arrives as it was written', () => {
  const certificate = issue({ subject: 'Bücher, Ünïcode' })
  const pair = new TlsTestPair({ certificatePem: certificate.certificate, keyPem: certificate.key }, {})
  pair.handshake()
  assert.equal(pair.client.peerCertificate()?.commonName, 'Bücher, Ünïcode')
  pair.free()
})

function checked(message: RegExp): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof ConfigError, String(error))
    assert.match(error.message, message)
    return true
  }
}

function rsaKey(): string {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
}

interface Issued {
  readonly subject: string
  readonly certificate: string
  readonly key: string
}

interface IssueRequest {
  readonly subject: string
  readonly issuer?: Issued
  readonly authority?: boolean
  readonly keyType?: 'ec' | 'ed25519'
  readonly digest?: keyof typeof ecdsa
}

const ecdsa = {
  sha1: '1.2.840.10045.4.1',
  sha256: '1.2.840.10045.4.3.2',
  sha384: '1.2.840.10045.4.3.3',
  sha512: '1.2.840.10045.4.3.4',
} as const

/** A certificate of a kind that `CertificateAuthority` does not make; signed by itself unless there is an issuer. */
function issue({ subject, issuer, authority = false, keyType = 'ec', digest = 'sha256' }: IssueRequest): Issued {
  const { privateKey, publicKey } =
    keyType === 'ec' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('ed25519')
  const signer: KeyObject = issuer === undefined ? privateKey : createPrivateKey(issuer.key)
  const algorithm = sequence(oid(keyType === 'ec' ? ecdsa[digest] : '1.3.101.112'))
  const name = (text: string) => sequence(setOf(sequence(oid('2.5.4.3'), utf8(text))))
  const day = 86_400_000
  const body = sequence(
    tagged(0, integer(Buffer.from([2]))),
    integer(Buffer.from([1])),
    algorithm,
    name(issuer?.subject ?? subject),
    sequence(time(new Date(Date.now() - day)), time(new Date(Date.now() + day))),
    name(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    tagged(
      3,
      sequence(sequence(oid('2.5.29.19'), boolean(true), octets(sequence(...(authority ? [boolean(true)] : []))))),
    ),
  )
  const der = sequence(body, algorithm, bits(sign(keyType === 'ec' ? digest : null, body, signer)))
  return {
    subject,
    certificate: `-----BEGIN CERTIFICATE-----\n${der.toString('base64').replace(/.{1,64}/g, '$&\n')}-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}
