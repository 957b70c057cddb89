import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CertificateAuthority } from '../../test/support/certificates.ts'
import { diffConfig } from './diff-config.ts'
import { parseConfig } from './load-config.ts'
import type { Config } from './schema.ts'

const base = `
[[shards]]
name = "db1"
host = "db1"
[monitor]
user = "watch"
password = "one"
`

function parseWith(text: string, files: Record<string, string> = {}): Config {
  const readFile = (path: string): string => files[path] ?? ''
  return parseConfig(text, { file: 'sw.toml', directory: '/', environment: {}, readFile })
}

test('the same configuration changes nothing', () => {
  assert.deepEqual(diffConfig(parseWith(base), parseWith(base)), { applied: [], needsRestart: [] })
})

test('another way to write the same value changes nothing', () => {
  const [a, b] = [`${base}[timeouts]\nquery = "1m"`, `${base}[timeouts]\nquery = 60`]
  assert.deepEqual(diffConfig(parseWith(a), parseWith(b)), { applied: [], needsRestart: [] })
})

test('changed keys are told apart by whether they wait for a restart', () => {
  const changed = `${base.replace('"one"', '"two"')}[listen]\naddresses = ["0.0.0.0"]\n[http]\nport = 1\n[limits]\nmax_clients = 5
max_clients_per_user = 3\n[data]\ndirectory = "x"\n[timeouts]\nquery = "5s"`
  assert.deepEqual(diffConfig(parseWith(base), parseWith(changed)), {
    applied: ['monitor.password', 'limits.max_clients_per_user', 'timeouts.query'],
    needsRestart: ['listen.addresses', 'http.port', 'limits.max_clients', 'data.directory'],
  })
})

test('shards, users and databases are told apart by name, whatever their order', () => {
  const shards = '[[shards]]\nname = "a"\nhost = "a"\n[[shards]]\nname = "b"\nhost = "b"\n[monitor]\nuser = "watch"\n'
  const moved = '[[shards]]\nname = "b"\nhost = "c"\n[[shards]]\nname = "a"\nhost = "a"\n[monitor]\nuser = "watch"\n'
  const before = parseWith(`${shards}[databases.x]\n[[users]]\nname = "old"`)
  const after = parseWith(`${moved}[databases.x]\n[databases.y]\n[[users]]\nname = "new"`)
  assert.deepEqual(diffConfig(before, after), {
    applied: ['shards.b.host', 'databases.y (added)', 'users.new (added)', 'users.old (removed)'],
    needsRestart: [],
  })
})

test('a renewed certificate in the same file is a change', () => {
  const authority = new CertificateAuthority()
  const text = `${base}[server_tls]\nmode = "verify-ca"\nca = "ca.crt"`
  const before = parseWith(text, { '/ca.crt': authority.certificate })
  const after = parseWith(text, { '/ca.crt': new CertificateAuthority().certificate })
  assert.deepEqual(diffConfig(before, after), { applied: ['server_tls.ca'], needsRestart: [] })
})

test('a changed password file is a change of the password', () => {
  const text = base.replace('password = "one"', 'password_file = "secret"')
  const diff = diffConfig(parseWith(text, { '/secret': 'a' }), parseWith(text, { '/secret': 'b' }))
  assert.deepEqual(diff, { applied: ['monitor.password'], needsRestart: [] })
})
