import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CertificateAuthority } from '../../test/support/certificates.ts'
import { buildConfig } from './load-config.ts'
import type { RawTable } from './read-section.ts'

const authority = new CertificateAuthority()
const server = authority.issue({ commonName: 'localhost' })
const files: Readonly<Record<string, string>> = {
  '/ca.crt': authority.certificate,
  '/s.crt': server.certificate,
  '/s.key': server.key,
}
const tls = { mode: 'allow', certificate: 's.crt', key: 's.key' }
const good: RawTable = { shards: [{ name: 'db1', host: 'db1' }], monitor: { user: 'watch' } }

function complaint(change: RawTable): string {
  const readFile = (path: string): string => files[path] ?? ''
  try {
    buildConfig({ ...good, ...change }, { file: 'sw.toml', directory: '/', environment: {}, readFile })
    return 'none'
  } catch (error) {
    return (error as Error).message
  }
}

const rule = (values: RawTable): RawTable => ({ auth: { hba: [values] } })
const trustAdvice =
  'reaches beyond this machine; trust is for type = "local" and for loopback addresses, so write address = [ "127.0.0.1", "::1" ], or method = "scram-sha-256".'

const wrong: readonly [string, RawTable, string][] = [
  [
    'trust for an address of the network',
    rule({ type: 'host', address: ['127.0.0.1', '10.0.0.0/8'], method: 'trust' }),
    `sw.toml: auth.hba[0].method is "trust", but its address "10.0.0.0/8" ${trustAdvice}`,
  ],
  [
    'trust without an address',
    rule({ type: 'host', method: 'trust' }),
    `sw.toml: auth.hba[0].method is "trust", but its address "all" ${trustAdvice}`,
  ],
  [
    'trust over TLS from everywhere',
    { ...rule({ type: 'hostssl', method: 'trust', address: '0.0.0.0/0' }), client_tls: tls },
    `sw.toml: auth.hba[0].method is "trust", but its address "0.0.0.0/0" ${trustAdvice}`,
  ],
  [
    'a clear-text password over the network',
    rule({ type: 'host', method: 'password' }),
    'sw.toml: auth.hba[0].method is "password", but with type = "host" the password would cross the network in clear text; write type = "hostssl", or method = "scram-sha-256".',
  ],
  [
    'certificates without TLS',
    rule({ type: 'host', method: 'cert' }),
    'sw.toml: auth.hba[0].method is "cert", but type is "host"; only TLS has certificates, so write type = "hostssl".',
  ],
  [
    'certificates that nobody is trusted to sign',
    { ...rule({ type: 'hostssl', method: 'cert' }), client_tls: tls },
    'sw.toml: auth.hba[0].method is "cert", but client_tls.ca is not set; write ca = "client-ca.crt" in [client_tls].',
  ],
  [
    'hostssl without TLS',
    rule({ type: 'hostssl', method: 'md5' }),
    'sw.toml: auth.hba[0].type is "hostssl", but client_tls.mode is "disable", so it would match nobody; set client_tls.mode = "allow".',
  ],
  [
    'an address for the Unix socket',
    rule({ type: 'local', address: '127.0.0.1', method: 'md5' }),
    'sw.toml: auth.hba[0].address is set, but a rule of type "local" is for the Unix socket, which has none; remove it.',
  ],
  [
    'a rule for nobody',
    rule({ type: 'host', user: [], method: 'md5' }),
    'sw.toml: auth.hba[0] has an empty array, so it would match nobody; write "all", or remove the rule.',
  ],
  [
    'role membership',
    rule({ type: 'host', user: '+staff', method: 'md5' }),
    'sw.toml: auth.hba[0].user is "+staff", but role membership is known to the shards only; list the names; write for example user = "all".',
  ],
  [
    'two users with one name',
    { users: [{ name: 'a' }, { name: 'b' }, { name: 'a' }] },
    'sw.toml: users[2].name is "a", but users[0] has the same name; remove one of them.',
  ],
  [
    'a console user whom nobody knows',
    { admin: { users: ['ops'] } },
    'sw.toml: admin.users names "ops", but no [[users]] has that name and auth.query is not set; write [[users]] with name = "ops" and a password.',
  ],
  [
    'a console reader whom nobody knows',
    { admin: { stats_users: ['ops'] } },
    'sw.toml: admin.stats_users names "ops", but no [[users]] has that name and auth.query is not set; write [[users]] with name = "ops" and a password.',
  ],
  [
    'an auth query that nobody runs',
    { auth: { query: 'SELECT $1' } },
    'sw.toml: auth.query_user is missing, and must be set because auth.query is; write for example query_user = "switchyard".',
  ],
  [
    'an auth query in a database that is not there',
    { auth: { query_database: 'nowhere' }, databases: { shop: {} } },
    'sw.toml: auth.query_database is "nowhere", but there is no such database; write [databases."nowhere"], or name one of those.',
  ],
]

for (const [name, change, sentence] of wrong) {
  test(`${name} is refused`, () => assert.equal(complaint(change), sentence))
}

const right: readonly [string, RawTable][] = [
  ['trust on the Unix socket', rule({ type: 'local', method: 'trust' })],
  ['trust for loopback', rule({ type: 'host', address: ['127.0.0.0/8', '::1'], method: 'trust' })],
  ['a clear-text password on the Unix socket', rule({ type: 'local', method: 'password' })],
  ['a clear-text password from loopback', rule({ type: 'host', address: '127.0.0.1', method: 'password' })],
  ['a clear-text password over TLS', { ...rule({ type: 'hostssl', method: 'password' }), client_tls: tls }],
  ['certificates over TLS', { ...rule({ type: 'hostssl', method: 'cert' }), client_tls: { ...tls, ca: 'ca.crt' } }],
  [
    'a console user found by the auth query',
    { admin: { users: ['ops'] }, auth: { query: 'SELECT $1', query_user: 'q' } },
  ],
  ['an auth query in a database of the wildcard', { auth: { query_database: 'x' }, databases: { '*': {} } }],
]

for (const [name, change] of right) {
  test(`${name} is accepted`, () => assert.equal(complaint(change), 'none'))
}
