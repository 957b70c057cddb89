import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { checkConfig } from './check-config.ts'

function check(text: string, environment: Record<string, string> = {}): { code: number; output: string; path: string } {
  const directory = mkdtempSync(join(tmpdir(), 'switchyard-check-'))
  try {
    const path = join(directory, 'switchyard.toml')
    writeFileSync(path, text)
    let output = ''
    const code = checkConfig(path, environment, (part) => {
      output += part
    })
    return { code, output, path }
  } finally {
    rmSync(directory, { recursive: true })
  }
}

const good = `
[listen]
addresses = ["127.0.0.1", "::1"]
unix_socket_directory = "/run/sw"
[admin]
users = ["ops"]
[[shards]]
name = "db1"
host = "db1"
[[shards]]
name = "db2"
host = "fd00::2"
max_connections = 10
[monitor]
user = "watch"
[[users]]
name = "ops"
password = "x"
[data]
directory = "/var/sw"
`

test('a good configuration is summed up, with warnings, and the exit code is 0', () => {
  const { code, output, path } = check(good, { SWITCHYARD_PORT: '7000' })
  assert.equal(code, 0)
  assert.deepEqual(output.split('\n'), [
    `${path}: OK`,
    '  clients    127.0.0.1:7000, [::1]:7000, /run/sw/.s.PGSQL.7000 (TLS: disable)',
    '  http       127.0.0.1:6480',
    '  group      main: db1 (db1:5432), db2 ([fd00::2]:5432)',
    '  databases  * (every other name)',
    '  users      ops',
    '  console    ops',
    '  access     local all,replication all scram-sha-256',
    '  access     host all,replication all all scram-sha-256',
    '  tiers      of 10 slots of a shard:',
    '  tiers      tier        reads run on  slots reserved   at most  may wait  for  refused  query     transaction  reads see',
    '  tiers      high        primary       2, 0 never lent  10       10000     2m   last     no limit  no limit     what their session wrote',
    '  tiers      medium      primary       1, 0 never lent  10       10000     2m   third    no limit  no limit     what their session wrote',
    '  tiers      low         primary       0, 0 never lent  5        2000      2m   second   no limit  no limit     what their session wrote',
    '  tiers      background  primary       0, 0 never lent  3        500       2m   first    no limit  no limit     what their session wrote',
    '  data       /var/sw',
    '  warning: databases.*: its pools may have 20 server connections, but shards.db2.max_connections is 10; ' +
      'clients will wait for that instead.',
    '',
  ])
})

test('users found by the auth query and an unused console are told', () => {
  const text = good.replace('users = ["ops"]', '').replace(/\[\[users\]\]\nname = "ops"\npassword = "x"/, '')
  const { output } = check(`${text}\n[auth]\nquery = "SELECT $1"\nquery_user = "q"\n`)
  assert.match(output, /users {6}none listed, others by auth\.query\n/)
  assert.match(output, /console {4}nobody \(admin\.users is empty\)\n/)
})

test('a wrong configuration is told line by line, and the exit code is 1', () => {
  const { code, output, path } = check('[listen]\nport = 1\n', { SWITCHYARD_PORT: 'x' })
  assert.equal(code, 1)
  const lines = output.split('\n')
  assert.equal(lines.length, 4)
  assert.match(lines[0] ?? '', /^SWITCHYARD_PORT in the environment is "x"/)
  assert.ok(lines[1]?.startsWith(`${path}: monitor.user is missing`))
  assert.ok(lines[2]?.startsWith(`${path}: shards is missing`))
})
