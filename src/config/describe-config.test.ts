import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeConfig } from './describe-config.ts'
import { parseConfig } from './load-config.ts'
import { sections } from './schema.ts'

const config = parseConfig(
  `
  [listen]
  addresses = ["127.0.0.1", "::1"]
  unix_socket_mode = "770"
  [[shards]]
  name = "db.1"
  host = "db1"
  [monitor]
  user = "watch"
  password = "hunter2"
  interval = 0.25
  [databases."*"]
  pool_size = 7
  [[users]]
  name = "app"
  password = "hunter3"
  [limits]
  buffer_memory = 67108864
  `,
  { file: 'sw.toml', directory: '/', environment: {} },
)
const rows = new Map(describeConfig(config).map((row) => [row.key, row]))

test('SHOW CONFIG gives values as one would write them', () => {
  const values = Object.fromEntries(
    [
      'listen.addresses',
      'listen.port',
      'listen.unix_socket_mode',
      'listen.unix_socket_directory',
      'shards."db.1".host',
      'databases."*".pool_size',
      'databases."*".max_clients',
      'monitor.interval',
      'limits.buffer_memory',
      'limits.startup_packet_bytes',
      'timeouts.query_wait',
      'timeouts.query',
      'auth.hba[0].type',
    ].map((key) => [key, rows.get(key)?.value]),
  )
  assert.deepEqual(values, {
    'listen.addresses': '127.0.0.1, ::1',
    'listen.port': '6432',
    'listen.unix_socket_mode': '0770',
    'listen.unix_socket_directory': '',
    'shards."db.1".host': 'db1',
    'databases."*".pool_size': '7',
    'databases."*".max_clients': '',
    'monitor.interval': '250ms',
    'limits.buffer_memory': '64MB',
    'limits.startup_packet_bytes': '10000',
    'timeouts.query_wait': '2m',
    'timeouts.query': '0',
    'auth.hba[0].type': 'local',
  })
})

test('SHOW CONFIG tells the default, and whether a change applies at RELOAD', () => {
  assert.deepEqual(rows.get('limits.buffer_memory'), {
    key: 'limits.buffer_memory',
    value: '64MB',
    default: '256MB',
    changeable: 'restart',
  })
  assert.deepEqual(rows.get('limits.max_clients'), {
    key: 'limits.max_clients',
    value: '10000',
    default: '10000',
    changeable: 'restart',
  })
  assert.equal(rows.get('monitor.user')?.default, '')
})

test('SHOW CONFIG never shows a password, only that there is one', () => {
  assert.equal(rows.get('monitor.password')?.value, '********')
  assert.equal(rows.get('users.app.password')?.value, '********')
  assert.equal(rows.get('auth.query_password')?.value, '')
  assert.doesNotMatch(JSON.stringify([...rows.values()]), /hunter/)
})

test('SHOW CONFIG has a row for every key of every table', () => {
  for (const { form, path, keys } of sections) {
    if (form !== 'table') continue
    for (const name of Object.keys(keys)) assert.ok(rows.has(`${path}.${name}`), `${path}.${name}`)
  }
})
