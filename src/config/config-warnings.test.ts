import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CertificateAuthority } from '../../test/support/certificates.ts'
import { configWarnings } from './config-warnings.ts'
import { buildConfig } from './load-config.ts'
import type { RawTable } from './read-section.ts'

const authority = new CertificateAuthority()
const server = authority.issue({ commonName: 'localhost', validDays: 20 })
const day = 86_400_000
const md5 = `md5${'0'.repeat(32)}`

function warnings(change: RawTable, nowMs = Date.now()): readonly string[] {
  const root = { shards: [{ name: 'db1', host: 'db1' }], monitor: { user: 'watch' }, ...change }
  const readFile = (path: string): string => (path.endsWith('.key') ? server.key : server.certificate)
  return configWarnings(buildConfig(root, { file: 'sw.toml', directory: '/', environment: {}, readFile }), nowMs)
}

const tls = { mode: 'allow', certificate: 's.crt', key: 's.key' }

test('a usual configuration has no warnings', () => {
  assert.deepEqual(warnings({ client_tls: tls, users: [{ name: 'app', password: 'x' }] }), [])
})

test('a certificate is warned about two weeks before its end, and after it', () => {
  const [soon = ''] = warnings({ client_tls: tls }, Date.now() + 10 * day)
  assert.match(soon, /^client_tls\.certificate: the certificate expires on \d{4}-\d\d-\d\d; renew it and RELOAD\.$/)
  const [late = ''] = warnings({ client_tls: tls }, Date.now() + 30 * day)
  assert.match(late, /certificate expired on/)
})

test('a certificate that is not used is warned about', () => {
  const [warning = ''] = warnings({ client_tls: { ...tls, mode: 'disable' } })
  assert.match(warning, /^client_tls\.mode is "disable" although there is a certificate/)
})

test('a user with an md5 verifier is warned about when only SCRAM is let in', () => {
  const [warning = ''] = warnings({ users: [{ name: 'old', password: md5 }] })
  assert.match(warning, /^users\.old: an md5 verifier cannot be used with scram-sha-256/)
  const auth = { hba: [{ type: 'host', user: 'old', method: 'md5' }] }
  assert.deepEqual(warnings({ users: [{ name: 'old', password: md5 }], auth }), [])
})

test('a pool that is larger than its shard allows is warned about', () => {
  const [warning = ''] = warnings({ shards: [{ name: 'db1', host: 'db1', max_connections: 10 }] })
  assert.match(
    warning,
    /^databases\.\*: its pools may have 20 server connections, but shards\.db1\.max_connections is 10/,
  )
})

test('a rule that never holds is warned about', () => {
  const never = (...rules: RawTable[]) => warnings({ tiers: { rules } })
  const [warning, ...rest] = never({ user: 'a*', tier: 'low' }, { user: 'b' }, { user: 'a*b', application: 'x' })
  assert.match(warning ?? '', /^tiers\.rules\[2\] never holds, because tiers\.rules\[0\] matches all of its clients/)
  assert.deepEqual(rest, [])
  assert.deepEqual(never({ user: 'a', database: 'd' }, { user: 'a' }, { database: 'd' }), [])
})

test('reservations that no shard can keep together are warned about', () => {
  const shards = [
    { name: 'small', host: 'a', slots: 10, max_connections: 10 },
    { name: 'large', host: 'b', slots: 40, max_connections: 40 },
  ]
  const pool = { size: 10 }
  const [warning, ...rest] = warnings({ shards, pool, tiers: { high: { reserved: 8 }, medium: { reserved: '30%' } } })
  assert.match(warning ?? '', /^The tiers reserve 11 slots of each shard together, but shards\.small has 10/)
  assert.deepEqual(rest, [])
  assert.deepEqual(warnings({ shards, pool, tiers: { high: { reserved: 7 }, medium: { reserved: '30%' } } }), [])
})
