import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigError } from '../errors.ts'
import { parseConfig } from './load-config.ts'

const shard = '[[shards]]\nname = "db1"\nhost = "db1"\n'
const monitor = '[monitor]\nuser = "watch"\n'
const minimal = shard + monitor
const files: Readonly<Record<string, string>> = { '/etc/sw/empty': '\n', '/etc/sw/md5': `md5${'0'.repeat(32)}\n` }

/** Everything that is said about `text`, without the file's name. */
function complaints(text: string, environment: Record<string, string> = {}): readonly string[] {
  const readFile = (path: string): string => {
    const content = files[path]
    if (content === undefined) throw Object.assign(new Error('missing'), { code: 'ENOENT' })
    return content
  }
  try {
    parseConfig(text, { file: 'sw.toml', directory: '/etc/sw', environment, readFile })
    return []
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return error.message.split('\n').map((line) => line.replace(/^sw\.toml: /, ''))
  }
}

interface Wrong {
  readonly [text: string]: string
}

function assertComplaints(cases: Wrong): void {
  for (const [text, sentence] of Object.entries(cases)) assert.deepEqual(complaints(text), [sentence], text)
}

test('a value of the wrong kind or range is told with what is allowed and what to write', () => {
  assertComplaints({
    [`${minimal}[listen]\nport = 70000`]:
      'listen.port is 70000, but it must be a whole number from 0 to 65535 (0 = any free port); write for example port = 6432.',
    [`${minimal}[listen]\nport = "6432"`]:
      'listen.port is "6432", but it must be a whole number from 0 to 65535 (0 = any free port); write for example port = 6432.',
    [`${minimal}[listen]\nport = 6432.5`]:
      'listen.port is 6432.5, but it must be a whole number from 0 to 65535 (0 = any free port); write for example port = 6432.',
    [`${minimal}[listen]\nport = 2026-01-01`]:
      'listen.port is a date, but it must be a whole number from 0 to 65535 (0 = any free port); write for example port = 6432.',
    [`${minimal}[listen]\nunix_socket_mode = 777`]:
      'listen.unix_socket_mode is 777, but it must be file permissions as an octal text such as "0770"; write for example unix_socket_mode = "0777".',
    [`${minimal}[listen]\naddresses = "127.0.0.1"`]:
      'listen.addresses is "127.0.0.1", but it must be an array of IPv4 and IPv6 addresses (an empty one: Unix socket only); write for example addresses = [ "0.0.0.0" ].',
    [`${minimal}[listen]\naddresses = ["127.0.0.1", "*"]`]:
      'listen.addresses is ["127.0.0.1", "*"], but its item 2 is wrong: "*" is written "0.0.0.0" (every IPv4 address) or "::" (every IPv4 and IPv6 address); write for example addresses = [ "0.0.0.0" ].',
    [`${minimal}[http]\naddress = "db1"`]:
      'http.address is "db1", but it must be an IPv4 or IPv6 address; write for example address = "127.0.0.1".',
    [`${minimal}[databases.shop]\npool_size = "many"`]:
      'databases.shop.pool_size is "many", but it must be a whole number from 1 to 100000; write for example pool_size = 20.',
    [`${minimal}[databases."*"]\npool_mode = "statement"`]:
      'databases."*".pool_mode is "statement", but it must be one of "transaction", "session"; write for example pool_mode = "session".',
    [`${minimal}[timeouts]\nquery = "5 minutes"`]:
      'timeouts.query is "5 minutes", but it must be a duration from 0 to 24d such as "30s", "5m" or a number of seconds (0 = no limit); write for example query = "10m".',
    [`${minimal}[timeouts]\nserver_connect = 0`]:
      'timeouts.server_connect is 0, but it must be a duration from 10ms to 10m such as "30s", "5m" or a number of seconds; write for example server_connect = "15s".',
    [`${minimal}[limits]\nbuffer_memory = "1KB"`]:
      'limits.buffer_memory is "1KB", but it must be a size from 16MB to 4GB such as "64KB", "16MB" or a number of bytes; write for example buffer_memory = "256MB".',
    [`${minimal}[admin]\nusers = []\nstats_users = [5]`]:
      'admin.stats_users is [5], but its item 1 must be a name of 1 to 63 bytes without control characters; write for example stats_users = [ "monitoring" ].',
    [`${shard}port = 0\n${monitor}`]:
      'shards[0].port is 0, but it must be a whole number from 1 to 65535; write for example port = 5432.',
    [`${minimal}[auth]\nquery = "SELECT 1"\nquery_user = "a"`]:
      'auth.query is "SELECT 1", but it must be a query with $1 in the place of the user name; write for example query = "SELECT rolname, rolpassword FROM pg_authid WHERE rolname = $1 AND rolcanlogin".',
  })
})

test('a word that is nearly right is corrected in the advice', () => {
  assertComplaints({
    [`${minimal}[[auth.hba]]\ntype = "host"\nmethod = "scram-sha256"`]:
      'auth.hba[0].method is "scram-sha256", but it must be one of "scram-sha-256", "md5", "password", "cert", "trust", "reject"; write for example method = "scram-sha-256".',
    [`${minimal}[server_tls]\nmode = "verify_full"`]:
      'server_tls.mode is "verify_full", but it must be one of "disable", "prefer", "require", "verify-ca", "verify-full"; write for example mode = "verify-full".',
  })
})

test('what must be written and is not is told', () => {
  assertComplaints({
    [monitor]:
      'shards is missing, and at least one shard must be configured; write [[shards]] with for example name = "db1" and host = "db1.example.com".',
    [shard]:
      'monitor.user is missing, and must be a name of 1 to 63 bytes without control characters; write for example user = "switchyard".',
    [`[[shards]]\nname = "db1"\n${monitor}`]:
      'shards[0].host is missing, and must be a host name, an IP address, or the absolute directory of a Unix socket; write for example host = "db1.example.com".',
    [`${minimal}[[auth.hba]]\ntype = "host"`]:
      'auth.hba[0].method is missing, and must be one of "scram-sha-256", "md5", "password", "cert", "trust", "reject"; write for example method = "scram-sha-256".',
  })
})

test('an unknown key or section is told with the one that was probably meant', () => {
  const listenKeys = 'the keys here are addresses, port, unix_socket_directory, unix_socket_mode, backlog'
  const sectionNames =
    'the sections are listen, http, admin, shards, databases, monitor, tiers, shard_pools, routing, adjust, analyzer, operations, replay, failover, scaling, users, auth, client_tls, server_tls, pool, limits, timeouts, log, data'
  assertComplaints({
    [`${minimal}[listen]\nprot = 5`]: `listen.prot is not a known key (${listenKeys}); did you mean listen.port?`,
    [`${minimal}[listen]\nmax_client_conn = 5`]: `listen.max_client_conn is not a known key (${listenKeys}); did you mean limits.max_clients?`,
    [`${minimal}[listen]\nzebra = 5`]: `listen.zebra is not a known key (${listenKeys}); remove it.`,
    [`${shard}prot = 5\n${monitor}`]:
      'shards[0].prot is not a known key (the keys here are name, host, port, group, data_directory, max_connections, slots, zone); did you mean shards[0].port?',
    [`${minimal}[auth]\nhbaa = 1`]:
      'auth.hbaa is not a known key (the keys here are query, query_user, query_password, query_password_file, query_database, cache, hba); remove it.',
    [`port = 5\n${minimal}`]: `port is not a known key outside of a section (${sectionNames}); did you mean listen.port?`,
    [`${minimal}[limit]`]: `limit is not a known section (${sectionNames}); did you mean limits?`,
    [`${minimal}["a b"]`]: `"a b" is not a known section (${sectionNames}); remove it.`,
  })
})

test('a section of the wrong form is told with the brackets to write', () => {
  assertComplaints({
    [`listen = 5\n${minimal}`]: 'listen is 5, but it must be a table; write [listen] above its keys.',
    [`[[listen]]\n${minimal}`]: 'listen is an array of 1, but it must be a table; write [listen] above its keys.',
    [`[shards]\nname = "db1"\n${monitor}`]:
      'shards is a table, but it must be an array of tables; write [[shards]] above each of them.',
    [`shards = ["db1"]\n${monitor}`]:
      'shards[0] is "db1", but it must be an array of tables; write [[shards]] above each of them.',
    [`${minimal}[[databases]]\nname = "shop"`]:
      'databases is an array of 1, but it must be a table; write [databases.NAME] above its keys.',
    [`${minimal}[databases]\nshop = "host=db1"`]:
      'databases.shop is "host=db1", but it must be a table; write [databases.NAME] above its keys.',
    [`${minimal}[auth.hba]\ntype = "host"`]:
      'auth.hba is a table, but it must be an array of tables; write [[auth.hba]] above each of them.',
  })
})

test('a wrong variable is named as a variable', () => {
  const sentence = (variable: string, found: string, example: number): string =>
    `${variable} in the environment is "${found}", but it must be a whole number from 0 to 65535 (0 = any free port); ` +
    `write for example ${variable}=${example}.`
  assert.deepEqual(complaints(minimal, { SWITCHYARD_PORT: '65536' }), [sentence('SWITCHYARD_PORT', '65536', 6432)])
  assert.deepEqual(complaints(minimal, { SWITCHYARD_HTTP_PORT: '80x' }), [
    sentence('SWITCHYARD_HTTP_PORT', '80x', 6480),
  ])
})

test('a secret that is wrong is never shown', () => {
  const scram =
    'a password, or a verifier as pg_authid.rolpassword holds it ("SCRAM-SHA-256$…" whole and unchanged, or "md5…")'
  const plain = 'the password itself, not a verifier ("SCRAM-SHA-256$…" or "md5…"), for one cannot log in with that'
  assertComplaints({
    [`${minimal}[[users]]\nname = "a"\npassword = "SCRAM-SHA-256$4096:abc"`]: `users[0].password is a text (not shown here), but it must be ${scram}; write for example password = "secret".`,
    [`${minimal}[[users]]\nname = "a"\npassword = 12345`]: `users[0].password is a number, but it must be ${scram}; write for example password = "secret".`,
    [`${minimal}[[users]]\nname = "a"\npassword = ""`]: `users[0].password is an empty text, but it must be ${scram}; write for example password = "secret".`,
    [`${minimal}password = "md5${'0'.repeat(32)}"`]: `monitor.password is a text (not shown here), but it must be ${plain}; write for example password = "secret".`,
    [`${minimal}password_file = "md5"`]: `monitor.password_file names /etc/sw/md5, but what it holds must be ${plain}.`,
  })
})

test('a section in the wrong brackets does not show the passwords in it', () => {
  assert.deepEqual(complaints(`${shard}[[monitor]]\nuser = "watch"\npassword = "hunter2"`), [
    'monitor is an array of 1, but it must be a table; write [monitor] above its keys.',
  ])
})

test('a password stands in the file or in a file of its own, which exists and is not empty', () => {
  assertComplaints({
    [`${minimal}password = "x"\npassword_file = "md5"`]:
      'monitor.password_file and monitor.password are both set; remove one of them.',
    [`${minimal}password_file = "none"`]:
      'monitor.password_file is "none", but /etc/sw/none cannot be read (no such file); write for example password_file = "/run/secrets/monitor_password".',
    [`${minimal}password_file = "empty"`]:
      'monitor.password_file is "empty", but /etc/sw/empty is empty; write for example password_file = "/run/secrets/monitor_password".',
  })
})
