import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigError } from '../errors.ts'
import type { HbaRule } from '../shard/plane-values.ts'
import type { HbaConnection } from './hba.ts'
import { chooseHbaRule, compileHba, hbaRejection } from './hba.ts'

function rule(values: Partial<HbaRule>): HbaRule {
  return {
    type: 'host',
    databases: ['all'],
    users: ['all'],
    addresses: ['all'],
    method: 'scram-sha-256',
    line: 1,
    ...values,
  }
}

function connection(values: Partial<HbaConnection> = {}): HbaConnection {
  return { tls: false, unix: false, address: '10.1.2.3', database: 'shop', user: 'app', replication: false, ...values }
}

const overUnix: Partial<HbaConnection> = { unix: true, address: null }

const rows: readonly (readonly [string, Partial<HbaRule>, Partial<HbaConnection>, boolean])[] = [
  ['host is for TCP without TLS', {}, {}, true],
  ['host is for TCP with TLS', {}, { tls: true }, true],
  ['host is not for a Unix socket', {}, overUnix, false],
  ['local is for a Unix socket, whatever the addresses say', { type: 'local', addresses: [] }, overUnix, true],
  ['local is not for TCP', { type: 'local' }, {}, false],
  ['hostssl is for TLS', { type: 'hostssl' }, { tls: true }, true],
  ['hostssl is not for plain TCP', { type: 'hostssl' }, {}, false],
  ['hostssl is not for a Unix socket', { type: 'hostssl' }, { ...overUnix, tls: true }, false],
  ['hostnossl is for plain TCP', { type: 'hostnossl' }, {}, true],
  ['hostnossl is not for TLS', { type: 'hostnossl' }, { tls: true }, false],
  ['hostnossl is not for a Unix socket', { type: 'hostnossl' }, overUnix, false],
  ['a user is named', { users: ['x', 'app'] }, {}, true],
  ['another user is not', { users: ['APP'] }, {}, false],
  ['a database is named', { databases: ['x', 'shop'] }, {}, true],
  ['another database is not', { databases: ['Shop'] }, {}, false],
  ['sameuser is a database named as the user', { databases: ['sameuser'] }, { user: 'shop' }, true],
  ['sameuser is no other database', { databases: ['sameuser'] }, {}, false],
  ['all is not replication', {}, { replication: true }, false],
  ['sameuser is not replication', { databases: ['sameuser'] }, { replication: true, user: 'shop' }, false],
  ['a database name is not replication', { databases: ['shop'] }, { replication: true }, false],
  ['replication is replication', { databases: ['replication'] }, { replication: true }, true],
  ['replication is no database', { databases: ['replication'] }, { database: 'replication' }, false],
  ['an address in the block', { addresses: ['10.0.0.0/8'] }, {}, true],
  ['an address in the second block', { addresses: ['fd00::/8', '10.0.0.0/8'] }, {}, true],
  ['an address outside', { addresses: ['10.2.0.0/16'] }, {}, false],
  ['an IPv4-mapped IPv6 address', { addresses: ['10.0.0.0/8'] }, { address: '::ffff:10.1.2.3' }, true],
  ['an IPv6 address', { addresses: ['fd00::/8'] }, { address: 'fd12::1' }, true],
  ['every IPv6 address is no IPv4 address', { addresses: ['::/0'] }, {}, false],
  ['every IPv4 address is no IPv6 address', { addresses: ['0.0.0.0/0'] }, { address: '2001:db8::1' }, false],
  ['an unreadable address is in no block', { addresses: ['0.0.0.0/0'] }, { address: '10.1.2' }, false],
  ['an unknown address is in no block', { addresses: ['0.0.0.0/0'] }, { address: null }, false],
  ['an unknown address is among all', {}, { address: null }, true],
]
for (const [name, values, asked, matches] of rows) {
  test(`access rule: ${name}`, () => {
    const only = rule(values)
    assert.equal(chooseHbaRule(compileHba([only]), connection(asked)), matches ? only : null)
  })
}

test('the first rule that matches decides, a later and better one does not', () => {
  const hba = compileHba([
    rule({ users: ['x'], line: 1 }),
    rule({ addresses: ['10.0.0.0/8'], method: 'reject', line: 2 }),
    rule({ users: ['app'], addresses: ['10.1.2.3'], line: 3 }),
  ])
  assert.equal(chooseHbaRule(hba, connection())?.line, 2)
})

const mistakes: readonly (readonly [string, Partial<HbaRule>, RegExp])[] = [
  ['no address', { addresses: [] }, /needs addresses; write "all"/],
  ['a word as address', { addresses: ['samehost'] }, /"samehost" is not an address/],
  ['a prefix too long', { addresses: ['10.0.0.0/33'] }, /"10\.0\.0\.0\/33" is not an address/],
  ['a netmask', { addresses: ['10.0.0.0/255.0.0.0'] }, /is not an address/],
  ['no database', { databases: [] }, /no databases/],
  ['no user', { users: [] }, /no users/],
  ['an empty name', { users: [''] }, /empty name/],
  ['role membership of a user', { users: ['+staff'] }, /"\+staff" asks for role membership/],
  ['role membership of a database', { databases: ['samerole'] }, /"samerole" asks for role membership/],
  ['a pattern', { users: ['/^app'] }, /"\/\^app" is a pattern/],
  ['a file', { databases: ['@names'] }, /"@names" is a pattern or a file/],
  ['cert without TLS', { method: 'cert' }, /must be "hostssl", not "host"/],
  ['trust for everybody', { method: 'trust' }, /not "all"/],
  ['trust for a network', { method: 'trust', addresses: ['::1', '10.0.0.0/8'] }, /not "10\.0\.0\.0\/8"/],
  ['trust for more than loopback', { method: 'trust', addresses: ['127.0.0.0/7'] }, /loopback addresses only/],
  ['trust for a network with TLS', { type: 'hostssl', method: 'trust', addresses: ['10.0.0.1'] }, /loopback/],
  ['clear text without TLS', { method: 'password', addresses: ['10.0.0.0/8'] }, /or the type "hostssl"/],
  ['clear text from everywhere', { type: 'hostnossl', method: 'password' }, /"hostnossl" rule is for loopback/],
]
for (const [name, values, sentence] of mistakes) {
  test(`access rules refuse ${name}, and name the rule`, () => {
    assert.throws(
      () => compileHba([rule({}), rule({ line: 7, ...values })]),
      (error) =>
        error instanceof ConfigError && /^hba rule 7: .*\.$/.test(error.message) && sentence.test(error.message),
    )
  })
}

const accepted: readonly Partial<HbaRule>[] = [
  { method: 'trust', addresses: ['127.0.0.1', '127.0.0.0/8', '::1', '::ffff:127.0.0.1/128'] },
  { method: 'trust', type: 'local' },
  { method: 'password', type: 'hostssl' },
  { method: 'password', type: 'local' },
  { method: 'password', addresses: ['127.0.0.1/32'] },
  { method: 'cert', type: 'hostssl' },
]
for (const values of accepted) {
  test(`access rules accept ${JSON.stringify(values)}`, () => {
    assert.equal(compileHba([rule(values)]).rules.length, 1)
  })
}

test('a rejected client is told what PostgreSQL tells it', () => {
  const message = (found: HbaRule | null, values: Partial<HbaConnection>) =>
    hbaRejection(found, connection(values)).message
  assert.equal(
    message(null, {}),
    'no pg_hba.conf entry for host "10.1.2.3", user "app", database "shop", no encryption',
  )
  assert.equal(
    message(null, overUnix),
    'no pg_hba.conf entry for host "[local]", user "app", database "shop", no encryption',
  )
  assert.equal(
    message(null, { replication: true, tls: true }),
    'no pg_hba.conf entry for replication connection from host "10.1.2.3", user "app", SSL encryption',
  )
  assert.equal(
    message(rule({}), { tls: true }),
    'pg_hba.conf rejects connection for host "10.1.2.3", user "app", database "shop", SSL encryption',
  )
  assert.equal(
    message(rule({}), { replication: true }),
    'pg_hba.conf rejects replication connection for host "10.1.2.3", user "app", no encryption',
  )
  assert.equal(hbaRejection(null, connection()).sqlstate, '28000')
  assert.equal(hbaRejection(null, connection()).origin, 'client')
})
