import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { CertificateAuthority } from '../../../test/support/certificates.ts'
import { compileHba } from '../../auth/hba.ts'
import { buildConfig } from '../../config/load-config.ts'
import type { RawTable } from '../../config/read-section.ts'
import type { Config } from '../../config/schema.ts'
import type { PlaneValues } from '../../shard/plane-values.ts'
import { compilePlaneValues, consoleAccess } from './plane-values.ts'
import { VerifierCache } from './verifier-cache.ts'

const server = new CertificateAuthority().issue({ commonName: 'localhost' })
const topology = { version: 3, shards: [] }
const md5 = `md5${'0'.repeat(32)}`

function build(change: RawTable = {}): Config {
  const root = { shards: [{ name: 'db1', host: 'db1' }], monitor: { user: 'watch' }, ...change }
  const readFile = (path: string): string => (path.endsWith('.key') ? server.key : server.certificate)
  return buildConfig(root, { file: 'sw.toml', directory: '/', environment: {}, readFile })
}

function compile(change: RawTable = {}, verifiers = new VerifierCache(Buffer.alloc(32, 7))): PlaneValues {
  return compilePlaneValues(build(change), topology, {
    version: 9,
    consoleSocket: '/run/console',
    verifiers,
    mockSecret: 'c2VjcmV0',
  })
}

test('the defaults become the values of a plane', () => {
  const values = compile()
  assert.equal(values.version, 9)
  assert.equal(values.consoleSocket, '/run/console')
  assert.equal(values.topology, topology)
  assert.deepEqual(values.consoleDatabases, ['switchyard', 'pgbouncer'])
  assert.deepEqual(values.limits, {
    maxClients: 10_000,
    maxClientsPerUser: 0,
    maxClientsPerDatabase: 0,
    startupPacketBytes: 10_000,
    startupParameters: 64,
    preparedStatements: 500,
    notificationBytes: 524_288,
  })
  assert.deepEqual(values.timeouts, {
    clientLoginMs: 60_000,
    clientIdleMs: 0,
    idleTransactionMs: 0,
    queryMs: 0,
    queryWaitMs: 120_000,
    serverConnectMs: 15_000,
    serverLoginRetryMs: 1000,
    serverIdleMs: 600_000,
    serverLifetimeMs: 3_600_000,
    serverCheckMs: 30_000,
    cancelMs: 10_000,
    drainMs: 60_000,
  })
  assert.deepEqual(values.pool, {
    mode: 'transaction',
    size: 20,
    minSize: 0,
    maxUserConnections: 0,
    maxDatabaseConnections: 0,
    lostNotifications: 'warn',
  })
  assert.equal(values.authQuery, false)
  assert.deepEqual(values.serverTls, { mode: 'prefer', certificate: null, key: null, ca: null, onUpgrade: 'keep' })
})

test('a database keeps the name that clients use and the one on the shards apart', () => {
  const shop = {
    name: 'shop_1',
    user: 'u',
    password: 'p',
    pool_mode: 'session',
    pool_size: 5,
    min_pool_size: 1,
    max_clients: 9,
  }
  assert.deepEqual(compile({ databases: { shop } }).databases, [
    {
      name: 'shop',
      group: 'main',
      serverDatabase: 'shop_1',
      serverUser: 'u',
      serverPassword: 'p',
      role: 'primary',
      poolMode: 'session',
      poolSize: 5,
      minPoolSize: 1,
      maxClients: 9,
    },
  ])
})

test('a password in clear text becomes a SCRAM verifier and is kept, a verifier is only parsed', () => {
  const users = [{ name: 'a', password: 'x', pool_size: 3 }, { name: 'b', password: md5 }, { name: 'c' }]
  const [a, b, c] = compile({ users, admin: { users: ['a'], stats_users: ['b'] } }).users
  assert.deepEqual([a?.verifier?.kind, a?.password, a?.console, a?.poolSize], ['scram-sha-256', 'x', 'admin', 3])
  assert.deepEqual([b?.verifier, b?.password, b?.console], [{ kind: 'md5', hash: md5 }, null, 'stats'])
  assert.deepEqual([c?.verifier, c?.password, c?.console], [null, null, 'none'])
})

test('one who may do everything in the console and is listed for SHOW too may do everything', () => {
  const users = [{ name: 'a' }]
  assert.equal(consoleAccess(build({ users, admin: { users: ['a'], stats_users: ['a'] } }), 'a'), 'admin')
})

test('access rules are numbered from 1, as messages name them', () => {
  const hba = [
    { type: 'local', method: 'trust' },
    { type: 'host', database: 'x', user: ['a', 'b'], address: '10.0.0.0/8', method: 'reject' },
  ]
  assert.deepEqual(compile({ auth: { hba } }).hba, [
    { type: 'local', databases: ['all'], users: ['all'], addresses: ['all'], method: 'trust', line: 1 },
    { type: 'host', databases: ['x'], users: ['a', 'b'], addresses: ['10.0.0.0/8'], method: 'reject', line: 2 },
  ])
})

test('a plane gets PEM texts, never paths', () => {
  const tls = { certificate: 's.crt', key: 's.key', ca: 'ca.crt' }
  const { clientTls, serverTls } = compile({
    client_tls: { ...tls, mode: 'verify-ca', min_version: 'TLSv1.3' },
    server_tls: { ...tls, mode: 'verify-full' },
  })
  const texts = { certificate: server.certificate, key: server.key, ca: server.certificate }
  assert.deepEqual(clientTls, { mode: 'verify-ca', ...texts, minVersion: 'TLSv1.3', onUpgrade: 'keep' })
  assert.deepEqual(serverTls, { mode: 'verify-full', ...texts, onUpgrade: 'keep' })
})

test('the values of a plane cannot be changed, and are complete in JSON', () => {
  const values = compile({ users: [{ name: 'a', password: 'x' }] })
  assert.ok(Object.isFrozen(values.users[0]?.verifier) && Object.isFrozen(values.hba) && Object.isFrozen(values.pool))
  assert.deepEqual(JSON.parse(JSON.stringify(values)), values)
})

test('the plane accepts every access rule that the configuration accepts', () => {
  const hba = [
    { type: 'local', method: 'trust' },
    { type: 'host', address: ['127.0.0.0/8', '::1'], method: 'trust' },
    { type: 'host', address: '127.0.0.1', method: 'password' },
    { type: 'local', method: 'password' },
    { type: 'hostssl', method: 'cert' },
    { type: 'hostssl', method: 'password' },
    { type: 'hostnossl', database: ['sameuser', 'replication'], address: 'fd00::/8', method: 'md5' },
    { type: 'host', method: 'scram-sha-256' },
  ]
  const client_tls = { mode: 'allow', certificate: 's.crt', key: 's.key', ca: 'ca.crt' }
  const values = compile({ auth: { hba }, client_tls })
  assert.equal(compileHba(values.hba).rules.length, hba.length)
  assert.equal(compileHba(compile().hba).rules.length, 2)
})

test('no field of the plane values is forgotten by the example', () => {
  const source = readFileSync(new URL('../../shard/plane-values.ts', import.meta.url), 'utf8')
  const [, body = ''] = /export interface PlaneValues \{([\s\S]*?)\n\}/.exec(source) ?? []
  const fields = [...body.matchAll(/readonly (\w+):/g)].map(([, name]) => name)
  assert.deepEqual(Object.keys(compile()).toSorted(), fields.toSorted())
})

test('the password of a user who is no longer listed is forgotten', () => {
  const verifiers = new VerifierCache(Buffer.alloc(32, 7))
  const known = verifiers.credentials('gone', 'x')
  compile({ users: [{ name: 'a', password: 'x' }] }, verifiers)
  assert.notEqual(verifiers.credentials('gone', 'x'), known)
})
