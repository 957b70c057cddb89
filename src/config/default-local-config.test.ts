import assert from 'node:assert/strict'
import { resolve } from 'node:path'
import { test } from 'node:test'
import { defaultLocalConfig } from './default-local-config.ts'

const cluster = {
  shards: [
    { name: 'alpha', port: 15432 },
    { name: 'beta', port: 15433 },
  ],
  superuser: 'postgres',
  password: 'hunter2',
  dataDirectory: '.switchyard',
  port: 6432,
  httpPort: 6480,
}

test('the local cluster is one group on loopback, which the superuser reaches, watches and administers', () => {
  const config = defaultLocalConfig(cluster)
  assert.deepEqual(
    config.shards.map(({ name, host, port, group }) => [name, host, port, group]),
    [
      ['alpha', '127.0.0.1', 15432, 'main'],
      ['beta', '127.0.0.1', 15433, 'main'],
    ],
  )
  assert.deepEqual(
    config.databases.map(({ entry, group }) => [entry, group]),
    [['*', 'main']],
  )
  assert.deepEqual(
    config.users.map(({ name, password }) => [name, password]),
    [['postgres', 'hunter2']],
  )
  assert.deepEqual(config.admin.users, ['postgres'])
  assert.deepEqual([config.monitor.user, config.monitor.password], ['postgres', 'hunter2'])
  assert.equal(config.data.directory, resolve('.switchyard'))
  assert.deepEqual([config.listen.addresses, config.listen.port, config.http.port], [['127.0.0.1'], 6432, 6480])
})

test('what is wrong with the local cluster is told like a mistake in a file', () => {
  assert.throws(() => defaultLocalConfig({ ...cluster, port: 70_000 }), {
    name: 'ConfigError',
    message: /^the built-in configuration: listen\.port is 70000, but it must be a whole number from 0 to 65535/,
  })
  assert.throws(() => defaultLocalConfig({ ...cluster, httpPort: 6432 }), /http\.port is 6432, but clients already/)
})
