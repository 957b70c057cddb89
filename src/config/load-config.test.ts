import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { ConfigError } from '../errors.ts'
import { buildConfig, loadConfig, parseConfig } from './load-config.ts'
import { type Config, sections } from './schema.ts'

const minimal = '[[shards]]\nname = "db1"\nhost = "db1"\n[monitor]\nuser = "watch"\n'

function parseWith(text: string, environment: Record<string, string> = {}, files: Record<string, string> = {}): Config {
  const readFile = (path: string): string => {
    const content = files[path]
    if (content === undefined) throw Object.assign(new Error('missing'), { code: 'ENOENT' })
    return content
  }
  return parseConfig(text, { file: 'switchyard.toml', directory: '/etc/switchyard', environment, readFile })
}

test('the least configuration is complete: every other key has its default', () => {
  const config = parseWith(minimal)
  assert.deepEqual(config.listen, {
    addresses: ['127.0.0.1'],
    port: 6432,
    unixSocketDirectory: null,
    unixSocketMode: 0o777,
    backlog: 1024,
  })
  assert.deepEqual(config.http, { address: '127.0.0.1', port: 6480 })
  assert.deepEqual(config.shards, [
    {
      name: 'db1',
      host: 'db1',
      port: 5432,
      group: 'main',
      dataDirectory: null,
      maxConnections: 80,
      slots: null,
      zone: null,
    },
  ])
  assert.equal(config.timeouts.queryWaitMs, 120_000)
  assert.equal(config.timeouts.serverLoginRetryMs, 1000)
  assert.equal(config.limits.bufferMemoryBytes, 268_435_456)
  assert.equal(config.data.directory, resolve('.switchyard'))
  assert.equal(config.file, 'switchyard.toml')
})

test('without access rules, everybody logs in with SCRAM from everywhere', () => {
  const everybody = { database: ['all', 'replication'], user: ['all'], address: ['all'], method: 'scram-sha-256' }
  assert.deepEqual(parseWith(minimal).hba, [
    { type: 'local', ...everybody },
    { type: 'host', ...everybody },
  ])
})

test('without databases, every name leads to the only group', () => {
  const [database, ...rest] = parseWith(minimal.replace('host = "db1"', 'host = "db1"\ngroup = "eu"')).databases
  assert.deepEqual([database?.entry, database?.group, database?.name, rest], ['*', 'eu', null, []])
})

test('one name stands for a list of one in access rules, and an address for a block', () => {
  const rule = 'type = "host"\nuser = "app"\ndatabase = ["a", "b"]\naddress = "10.0.0.1"\nmethod = "md5"'
  assert.deepEqual(parseWith(`${minimal}[[auth.hba]]\n${rule}`).hba, [
    { type: 'host', database: ['a', 'b'], user: ['app'], address: ['10.0.0.1/32'], method: 'md5' },
  ])
})

test('paths start at the directory of the file, the default data directory at the working directory', () => {
  const config = parseWith(`${minimal}[data]\ndirectory = "var"\n[listen]\nunix_socket_directory = "/run/sw"`)
  assert.equal(config.data.directory, '/etc/switchyard/var')
  assert.equal(config.listen.unixSocketDirectory, '/run/sw')
})

test('a password is read from its file, without the newline at the end', () => {
  const config = parseWith(`${minimal}password_file = "watch.txt"`, {}, { '/etc/switchyard/watch.txt': ' s3cret \r\n' })
  assert.equal(config.monitor.password, ' s3cret ')
  assert.equal(config.monitor.passwordFile, '/etc/switchyard/watch.txt')
})

test('the environment stands above the file, and an empty variable is none', () => {
  const text = `${minimal}[listen]\nport = 1111\n[data]\ndirectory = "x"`
  const environment = { SWITCHYARD_PORT: '7000', SWITCHYARD_HTTP_PORT: '0', SWITCHYARD_DATA: 'd' }
  const config = parseWith(text, environment)
  assert.deepEqual([config.listen.port, config.http.port, config.data.directory], [7000, 0, resolve('d')])
  assert.equal(parseWith(text, { SWITCHYARD_PORT: '' }).listen.port, 1111)
})

test('a configuration cannot be changed, however deep', () => {
  const config = parseWith(`${minimal}[[users]]\nname = "app"`)
  for (const value of [config, config.listen, config.listen.addresses, config.users, config.users[0], config.hba[0]]) {
    assert.ok(Object.isFrozen(value))
  }
})

test('a byte order mark before the first line is no mistake', () => {
  assert.equal(parseWith(`\uFEFF${minimal}`).shards.length, 1)
})

test('a mistake in TOML is told with its line and column', () => {
  assert.throws(() => parseWith('[listen]\nport = \n'), {
    name: 'ConfigError',
    message: /^switchyard\.toml: line 2, column \d+ is not valid TOML \([^\n]+\); correct it there, [^\n]+$/,
  })
  assert.throws(() => parseWith('[listen]\nport = 1\nport = 2\n'), /line 3, column \d+ is not valid TOML/)
})

test('a line of a syntax error is not shown: it may hold a password', () => {
  assert.throws(
    () => parseWith('[monitor]\nuser = "watch"\npassword = "hunter2\n'),
    (error: Error) => !error.message.includes('hunter2'),
  )
})

test('everything that is wrong is told at once, one line each', () => {
  const text = 'zzz = 1\n[listen]\nport = -1\n[[shards]]\nname = "db1"\n[timeouts]\nquery = "soon"'
  assert.throws(
    () => parseWith(text, { SWITCHYARD_HTTP_PORT: 'x' }),
    (error: Error) => {
      const places = error.message.split('\n').map((line) => line.replace('switchyard.toml: ', '').split(' ')[0])
      const expected = [
        'SWITCHYARD_HTTP_PORT',
        'zzz',
        'listen.port',
        'shards[0].host',
        'monitor.user',
        'timeouts.query',
      ]
      assert.deepEqual(places, expected)
      return error instanceof ConfigError
    },
  )
})

test('names that every JavaScript object has are unknown keys like others', () => {
  for (const name of ['constructor', '__proto__', 'toString', 'hasOwnProperty']) {
    assert.throws(() => parseWith(`${minimal}[listen]\n${name} = 1`), new RegExp(`listen\\.${name} is not a known key`))
    assert.throws(() => parseWith(`${name} = 1\n${minimal}`), new RegExp(`${name} is not a known key outside`))
  }
  const config = parseWith(`${minimal}[databases.constructor]\n[databases.__proto__]`)
  assert.deepEqual(
    config.databases.map(({ entry, group }) => [entry, group]),
    [
      ['constructor', 'main'],
      ['__proto__', 'main'],
    ],
  )
})

test('a file that cannot be read is told with the reason', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'switchyard-config-'))
  t.after(() => rmSync(directory, { recursive: true }))
  assert.throws(() => loadConfig(join(directory, 'no.toml'), {}), {
    name: 'ConfigError',
    message:
      `${directory}/no.toml: the configuration file cannot be read (no such file); give the path of a TOML file that ` +
      'Switchyard may read, config/example.toml is one to start from.',
  })
  assert.throws(() => loadConfig(directory, {}), /cannot be read \(it is a directory\)/)
})

test('a file is read from the disk, and the files it names from beside it', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'switchyard-config-'))
  t.after(() => rmSync(directory, { recursive: true }))
  writeFileSync(join(directory, 'switchyard.toml'), `${minimal}password_file = "secret"\n`)
  writeFileSync(join(directory, 'secret'), 'hunter2\n')
  chmodSync(join(directory, 'secret'), 0o600)
  assert.equal(loadConfig(join(directory, 'switchyard.toml'), {}).monitor.password, 'hunter2')
})

test('whatever stands in a file, it is a configuration or a ConfigError', () => {
  const values = fc.oneof(
    fc.jsonValue(),
    fc.constantFrom('0', '5s', '1KB', 'all', 'trust', 'host', 'main', '::1', Number.NaN, new Date(0), []),
  )
  const tables = sections.map(({ path, keys, form }) => {
    const names = fc.constantFrom(...Object.keys(keys), '__proto__', 'zzz')
    const table = fc.dictionary(names, values, { maxKeys: 8 })
    const part = form === 'table' ? table : form === 'list' ? fc.array(table) : fc.dictionary(fc.string(), table)
    return fc.tuple(fc.constant(path.replace('auth.hba', 'hba')), fc.oneof({ weight: 9, arbitrary: part }, values))
  })
  const source = { file: 'x.toml', directory: '/', environment: {}, readFile: () => 'x' }
  fc.assert(
    fc.property(fc.tuple(...tables), (parts) => {
      const { hba, auth, ...root } = Object.fromEntries(parts)
      const withRules = typeof auth === 'object' && auth !== null && !Array.isArray(auth) ? { ...auth, hba } : auth
      try {
        buildConfig({ ...root, auth: withRules }, source)
      } catch (error) {
        assert.ok(error instanceof ConfigError, String(error))
        for (const line of error.message.split('\n')) assert.match(line, /^x\.toml: .*[.?]$/s)
      }
    }),
    { numRuns: 300 },
  )
})
