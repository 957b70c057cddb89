import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CertificateAuthority } from '../../test/support/certificates.ts'
import { ConfigError } from '../errors.ts'
import { NativeBuffer } from './native.ts'
import { TLS_FAILED } from './tls-channel.ts'
import type { TlsClientContextOptions, TlsServerContextOptions } from './tls-context.ts'
import { TlsTestPair } from './tls-test-pair.ts'

const authority = new CertificateAuthority('Example CA')
const stranger = new CertificateAuthority('Stranger CA')
const named = authority.issue({
  commonName: 'ignored.example.com',
  names: ['db.example.com', '*.wild.example.com', 'part*.example.com', '10.1.2.3'],
})
const unnamed = authority.issue({ commonName: 'common.example.com' })
const expired = authority.issue({ commonName: 'db.example.com', names: ['db.example.com'], validDays: -1 })

interface ServerCase {
  readonly title: string
  readonly credentials?: typeof named
  readonly verify: TlsClientContextOptions['verify']
  readonly ca?: CertificateAuthority | null
  readonly name?: string
  /** Null: accepted. */
  readonly failure: RegExp | null
}

const serverCases: readonly ServerCase[] = [
  { title: 'its name', verify: 'full', name: 'db.example.com', failure: null },
  { title: 'its name in capitals', verify: 'full', name: 'DB.Example.COM', failure: null },
  { title: 'a label for the wildcard', verify: 'full', name: 'one.wild.example.com', failure: null },
  { title: 'its address', verify: 'full', name: '10.1.2.3', failure: null },
  {
    title: 'its common name where there are no other names',
    credentials: unnamed,
    verify: 'full',
    name: 'common.example.com',
    failure: null,
  },
  {
    title: 'another name',
    verify: 'full',
    name: 'other.example.com',
    failure:
      /^The server's certificate was refused: hostname mismatch: it is for db\.example\.com, \*\.wild\.example\.com, .*10\.1\.2\.3, not for other\.example\.com\.$/,
  },
  { title: 'its common name beside other names', verify: 'full', name: 'ignored.example.com', failure: /mismatch/ },
  { title: 'two labels for the wildcard', verify: 'full', name: 'a.b.wild.example.com', failure: /mismatch/ },
  { title: 'no label for the wildcard', verify: 'full', name: 'wild.example.com', failure: /mismatch/ },
  { title: 'a wildcard within a label', verify: 'full', name: 'partial.example.com', failure: /mismatch/ },
  { title: 'another address', verify: 'full', name: '10.1.2.4', failure: /IP address mismatch.*not for 10\.1\.2\.4/ },
  {
    title: 'an expired certificate',
    credentials: expired,
    verify: 'full',
    name: 'db.example.com',
    failure: /certificate has expired \(db\.example\.com\)/,
  },
  {
    title: 'a CA that is not trusted',
    verify: 'full',
    ca: stranger,
    name: 'db.example.com',
    failure: /unable to get local issuer certificate/,
  },
  {
    title: "a CA that is not among the system's",
    verify: 'full',
    ca: null,
    name: 'db.example.com',
    failure: /unable to get local issuer certificate/,
  },
  { title: 'verify-ca under another name', verify: 'ca', name: 'other.example.com', failure: null },
  { title: 'verify-ca without a name', verify: 'ca', failure: null },
  { title: 'verify-ca with another CA', verify: 'ca', ca: stranger, failure: /unable to get local issuer certificate/ },
  { title: 'verify-ca after its end', credentials: expired, verify: 'ca', failure: /certificate has expired/ },
]

for (const { title, credentials = named, verify, ca = authority, name, failure } of serverCases) {
  test(`a client ${failure === null ? 'accepts' : 'refuses'} a server with ${title}`, () => {
    const pair = new TlsTestPair(
      { certificatePem: credentials.certificate, keyPem: credentials.key },
      { verify, caPem: ca === null ? null : ca.certificate },
      name === undefined ? {} : { serverName: name },
    )
    const result = pair.handshake()
    if (failure === null) {
      assert.deepEqual(result, { server: 'done', client: 'done' }, pair.client.failure ?? '')
      assert.equal(pair.client.verified, true)
      assert.equal(pair.client.failure, null)
    } else {
      assert.equal(result.client, 'failed')
      assert.match(pair.client.failure ?? '', failure)
      assert.equal(result.server, 'failed')
      assert.match(pair.server.failure ?? '', /^The client ended the TLS connection with the alert "/)
    }
    pair.free()
  })
}

test('a client that verifies nothing takes any certificate and says that it is not verified', () => {
  const pair = new TlsTestPair({ certificatePem: expired.certificate, keyPem: expired.key }, { verify: 'none' })
  assert.deepEqual(pair.handshake(), { server: 'done', client: 'done' })
  assert.equal(pair.client.verified, false)
  assert.equal(pair.client.peerCertificate()?.commonName, 'db.example.com')
  pair.free()
})

for (const name of [undefined, '', 'db.example.com\0.evil.example', 'two words', 'döner.example']) {
  test(`verify-full without a usable server name is a mistake, here ${JSON.stringify(name)}`, () => {
    const open = () =>
      new TlsTestPair(
        { certificatePem: named.certificate, keyPem: named.key },
        { verify: 'full', caPem: authority.certificate },
        name === undefined ? {} : { serverName: name },
      )
    assert.throws(open, ConfigError)
  })
}

interface ClientCase {
  readonly title: string
  readonly verify: TlsServerContextOptions['verify']
  readonly certificate: 'absent' | 'trusted' | 'untrusted' | 'expired'
  readonly verified: boolean
  /** What the server says, and what the client is told; null: accepted. */
  readonly failure: readonly [RegExp, RegExp] | null
}

const clientCases: readonly ClientCase[] = [
  { title: 'without a certificate', verify: 'request', certificate: 'absent', verified: false, failure: null },
  { title: 'with a certificate', verify: 'request', certificate: 'trusted', verified: true, failure: null },
  { title: 'with a certificate', verify: 'require', certificate: 'trusted', verified: true, failure: null },
  {
    title: 'with a certificate nobody asks for',
    verify: 'none',
    certificate: 'trusted',
    verified: false,
    failure: null,
  },
  {
    title: 'without a certificate',
    verify: 'require',
    certificate: 'absent',
    verified: false,
    failure: [/peer did not return a certificate \(a client certificate is required\)/, /certificate required/],
  },
  {
    title: 'with a certificate of an unknown CA',
    verify: 'request',
    certificate: 'untrusted',
    verified: false,
    failure: [/^The client's certificate was refused: .*unable to/, /unknown ca/],
  },
  {
    title: 'with an expired certificate',
    verify: 'require',
    certificate: 'expired',
    verified: false,
    failure: [/certificate has expired/, /certificate expired/],
  },
]

const clientCertificates = {
  absent: null,
  trusted: authority.issue({ commonName: 'app_user' }),
  untrusted: stranger.issue({ commonName: 'app_user' }),
  expired: authority.issue({ commonName: 'app_user', validDays: -1 }),
}

for (const { title, verify, certificate, verified, failure } of clientCases) {
  test(`a server with verify ${verify} ${failure === null ? 'accepts' : 'refuses'} a client ${title}`, () => {
    const own = clientCertificates[certificate]
    const pair = new TlsTestPair(
      {
        certificatePem: named.certificate,
        keyPem: named.key,
        verify,
        caPem: verify === 'none' ? null : authority.certificate,
      },
      own === null ? {} : { certificatePem: own.certificate, keyPem: own.key },
    )
    const result = pair.handshake()
    if (failure === null) {
      assert.deepEqual(result, { server: 'done', client: 'done' })
      assert.equal(pair.server.verified, verified)
      assert.equal(pair.server.peerCertificate()?.commonName, verified ? 'app_user' : undefined)
    } else {
      assert.equal(result.server, 'failed')
      assert.match(pair.server.failure ?? '', failure[0])
      // In TLS 1.3 the client is done before the server has seen its certificate: it learns the verdict when it reads.
      assert.equal(pair.client.read(NativeBuffer.allocate(100), 0, 100), TLS_FAILED)
      assert.match(pair.client.failure ?? '', failure[1])
    }
    pair.free()
  })
}
