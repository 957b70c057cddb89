import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CertificateAuthority } from '../../test/support/certificates.ts'
import { buildConfig } from './load-config.ts'
import type { RawTable } from './read-section.ts'
import type { Config } from './schema.ts'

const authority = new CertificateAuthority()
const server = authority.issue({ commonName: 'localhost' })
const other = authority.issue({ commonName: 'other' })
const body = server.certificate.split('\n').slice(1, 3).join('\n')
const files: Readonly<Record<string, string>> = {
  '/ca.crt': authority.certificate,
  '/s.crt': server.certificate,
  '/chain.crt': server.certificate + authority.certificate,
  '/s.key': server.key,
  '/other.key': other.key,
  '/text': 'hello',
  '/damaged.crt': `${server.certificate}-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----\n`,
  '/damaged.key': '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n',
}
const good: RawTable = { shards: [{ name: 'db1', host: 'db1' }], monitor: { user: 'watch' } }

function build(change: RawTable): Config {
  const readFile = (path: string): string => {
    const content = files[path]
    if (content === undefined) throw Object.assign(new Error('denied'), { code: 'EACCES' })
    return content
  }
  return buildConfig({ ...good, ...change }, { file: 'sw.toml', directory: '/', environment: {}, readFile })
}

function complaint(change: RawTable): string {
  try {
    build(change)
    return 'none'
  } catch (error) {
    return (error as Error).message
  }
}

const pem = '; write for example'
const wrong: readonly [string, RawTable, string][] = [
  [
    'no way in',
    { listen: { addresses: [] } },
    'listen.addresses is an empty array and listen.unix_socket_directory is not set, so no client could connect; write addresses = [ "127.0.0.1" ] or unix_socket_directory = "/run/switchyard".',
  ],
  [
    'a socket directory that is too long',
    { listen: { unix_socket_directory: `/${'d'.repeat(100)}` } },
    `listen.unix_socket_directory is "/${'d'.repeat(100)}", but /${'d'.repeat(100)}/.s.PGSQL.6432 is longer than the 107 bytes that a socket path may have; choose a shorter directory.`,
  ],
  [
    'one port for clients and HTTP',
    { listen: { addresses: ['0.0.0.0'] }, http: { port: 6432 } },
    'http.port is 6432, but clients already connect there (listen.port, 0.0.0.0); choose another port, for example port = 6480.',
  ],
  [
    'a shard that is Switchyard itself',
    { shards: [{ name: 'db1', host: 'localhost', port: 6432 }] },
    'shards[0] (db1) is localhost port 6432, but that is where Switchyard itself listens (listen.port); give the address of the PostgreSQL server.',
  ],
  [
    'a shard that is the socket of Switchyard itself',
    { listen: { unix_socket_directory: '/run/x' }, shards: [{ name: 'db1', host: '/run/x', port: 6432 }] },
    'shards[0] (db1) is /run/x port 6432, but that is where Switchyard itself listens (listen.port); give the address of the PostgreSQL server.',
  ],
  [
    'a certificate without its key',
    { client_tls: { mode: 'allow', certificate: 's.crt' } },
    'client_tls.key is missing, and must be set because client_tls.certificate is; write the path of a PEM file, or remove client_tls.certificate.',
  ],
  [
    'a key without its certificate',
    { server_tls: { key: 's.key' } },
    'server_tls.certificate is missing, and must be set because server_tls.key is; write the path of a PEM file, or remove server_tls.key.',
  ],
  [
    'the key of another certificate',
    { client_tls: { mode: 'allow', certificate: 's.crt', key: 'other.key' } },
    'client_tls.key is "/other.key", but it is not the private key of the first certificate in /s.crt; give the two that were made together.',
  ],
  [
    'TLS without a certificate',
    { client_tls: { mode: 'require' } },
    'client_tls.certificate is missing, and must be set because client_tls.mode is "require"; write for example certificate = "server.crt" and key = "server.key", or choose another mode.',
  ],
  [
    'client certificates that nobody signs',
    { client_tls: { mode: 'verify-full', certificate: 's.crt', key: 's.key' } },
    'client_tls.ca is missing, and must be set because client_tls.mode is "verify-full"; write for example ca = "ca.crt", or choose another mode.',
  ],
  [
    'shard certificates that nobody signs',
    { server_tls: { mode: 'verify-ca' } },
    'server_tls.ca is missing, and must be set because server_tls.mode is "verify-ca"; write for example ca = "ca.crt", or choose another mode.',
  ],
  [
    'a file that may not be read',
    { server_tls: { ca: 'secret.crt' } },
    `server_tls.ca is "secret.crt", but /secret.crt cannot be read (permission denied)${pem} ca = "shard-ca.crt".`,
  ],
  [
    'a file that is no certificate',
    { server_tls: { ca: 'text' } },
    `server_tls.ca is "text", but /text cannot be used: it holds no "-----BEGIN CERTIFICATE-----" block${pem} ca = "shard-ca.crt".`,
  ],
  [
    'a damaged certificate behind a good one',
    { server_tls: { ca: 'damaged.crt' } },
    `server_tls.ca is "damaged.crt", but /damaged.crt cannot be used: its certificate 2 is damaged${pem} ca = "shard-ca.crt".`,
  ],
  [
    'a damaged key',
    { server_tls: { certificate: 's.crt', key: 'damaged.key' } },
    `server_tls.key is "damaged.key", but /damaged.key cannot be used: its private key is damaged, or has a passphrase (remove it with openssl pkey)${pem} key = "switchyard.key".`,
  ],
  [
    'a certificate in the place of a key',
    { server_tls: { certificate: 's.crt', key: 's.crt' } },
    `server_tls.key is "s.crt", but /s.crt cannot be used: it holds no "-----BEGIN PRIVATE KEY-----" block${pem} key = "switchyard.key".`,
  ],
]

for (const [name, change, sentence] of wrong) {
  test(`${name} is refused`, () => assert.equal(complaint(change), `sw.toml: ${sentence}`))
}

const right: readonly [string, RawTable][] = [
  ['a Unix socket alone', { listen: { addresses: [], unix_socket_directory: '/run/x' } }],
  ['one port number on two addresses', { listen: { addresses: ['10.0.0.1'] }, http: { port: 6432 } }],
  ['any free port for both', { listen: { port: 0 }, http: { port: 0 } }],
  ['a local shard on another port', { shards: [{ name: 'db1', host: '127.0.0.1' }] }],
  ['a distant shard on our port number', { shards: [{ name: 'db1', host: '10.0.0.9', port: 6432 }] }],
  [
    'a local shard on our port number at another address',
    { listen: { addresses: ['10.0.0.1'] }, shards: [{ name: 'db1', host: '127.0.0.1', port: 6432 }] },
  ],
]

for (const [name, change] of right) {
  test(`${name} is accepted`, () => assert.equal(complaint(change), 'none'))
}

test('PEM files are kept as absolute paths with their contents', () => {
  const { clientTls } = build({
    client_tls: { mode: 'verify-full', certificate: 'chain.crt', key: 's.key', ca: 'ca.crt' },
  })
  assert.deepEqual(clientTls.certificate, { path: '/chain.crt', text: files['/chain.crt'] })
  assert.deepEqual(clientTls.key, { path: '/s.key', text: server.key })
  assert.deepEqual(clientTls.ca, { path: '/ca.crt', text: authority.certificate })
})
