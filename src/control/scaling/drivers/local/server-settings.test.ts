import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigError } from '../../../../errors.ts'
import { checkSettings, passFileText, renderSettings, replaceAutoSettings } from './server-settings.ts'

test("the operator's settings replace the defaults, and quotes and backslashes survive the configuration file", () => {
  const text = renderSettings(
    { name: 'shard-1', socketDirectory: null },
    { max_connections: '7', 'app.x': "it's \\ 1" },
  )
  assert.match(text, /^max_connections = '7'$/m)
  assert.doesNotMatch(text, /'200'/)
  assert.match(text, /^app\.x = 'it''s \\\\ 1'$/m)
  assert.match(text, /^wal_level = 'logical'$/m)
})

test('a shard listens on the loopback address only, and on no socket when there is no directory for it', () => {
  const text = renderSettings({ name: 'shard-1', socketDirectory: null }, {})
  assert.match(text, /^listen_addresses = '127\.0\.0\.1'$/m)
  assert.match(text, /^unix_socket_directories = ''$/m)
  const withSockets = renderSettings({ name: 'shard-1', socketDirectory: '/s' }, {})
  assert.match(withSockets, /^unix_socket_directories = '\/s'$/m)
})

test('settings that the launcher decides, names that are none and values of several lines are refused', () => {
  assert.throws(() => checkSettings({ Port: '5432' }), ConfigError)
  assert.throws(() => checkSettings({ 'a b': '1' }), /not the name of a PostgreSQL setting/)
  assert.throws(() => checkSettings({ work_mem: "1MB'\nport = 1" }), /single line/)
  checkSettings({ work_mem: '1MB', 'pg_stat_statements.max': '100' })
})

test('replacing settings of postgresql.auto.conf drops every older line of them and keeps the others and comments', () => {
  const old =
    "# Do not edit\nprimary_conninfo = 'old'\nwork_mem = '1MB'\n  PRIMARY_CONNINFO='older'\nprimary_conninfo_x = '1'\n"
  assert.equal(
    replaceAutoSettings(old, { primary_conninfo: 'host=a' }),
    "# Do not edit\nwork_mem = '1MB'\nprimary_conninfo_x = '1'\nprimary_conninfo = 'host=a'\n",
  )
})

test('colons and backslashes in a passfile are escaped', () => {
  assert.equal(passFileText('a:b', 'c\\d'), '*:*:*:a\\:b:c\\\\d\n')
})
