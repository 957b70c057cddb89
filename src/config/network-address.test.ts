import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addressBlock, fitsSocketPath, isLocalHost, isLoopback, listenAddress, shardHost } from './network-address.ts'
import type { ValueType } from './value-type.ts'

const context = { directory: '/', readFile: () => '' }

function assertReads(
  type: ValueType<string>,
  right: Readonly<Record<string, string>>,
  wrong: readonly unknown[],
): void {
  for (const [found, value] of Object.entries(right)) {
    assert.deepEqual(type.read(found, context), { ok: true, value }, found)
  }
  for (const found of wrong) assert.equal(type.read(found, context).ok, false, String(found))
}

test('an access rule takes "all", addresses, which become blocks of one, and CIDR blocks', () => {
  assertReads(
    addressBlock,
    { all: 'all', '10.1.2.3': '10.1.2.3/32', '::1': '::1/128', '10.0.0.0/8': '10.0.0.0/8', 'fd00::/8': 'fd00::/8' },
    ['', '10.0.0.0/33', '::/129', '10.0.0.0/', '10.0.0/8', '10.0.0.0/8/8', 'fe80::1%eth0', 'db1', '10.0.0.0/-1', 5],
  )
})

test('a listener takes numeric addresses only, and says what * and localhost are', () => {
  assertReads(listenAddress, { '127.0.0.1': '127.0.0.1', '::': '::' }, ['db1', '127.0.0.1:6432', 'fe80::1%eth0', '', 5])
  assert.match(JSON.stringify(listenAddress.read('*', context)), /0\.0\.0\.0/)
  assert.match(JSON.stringify(listenAddress.read('localhost', context)), /127\.0\.0\.1/)
})

test('a shard is at a host name, an address, or in the directory of a socket', () => {
  const right = ['db1', 'db-1.example.com', 'db_1', 'db.example.com.', '10.0.0.1', 'fd00::1', '/run/postgresql', 'a']
  const wrong = [
    '',
    '.',
    'db 1',
    '-db',
    'db-',
    'db..x',
    '256.1.1.1',
    '10.0.0',
    'db:5432',
    '[::1]',
    'run/pg',
    'x'.repeat(254),
  ]
  assertReads(shardHost, Object.fromEntries(right.map((host) => [host, host])), [...wrong, 'fe80::1%eth0', 5, '/a\0b'])
})

test('loopback is 127.0.0.0/8 and ::1, and a block is loopback only when all of it is', () => {
  for (const block of ['127.0.0.1', '127.0.0.1/32', '127.9.9.9/32', '127.0.0.0/8', '::1', '::1/128']) {
    assert.equal(isLoopback(block), true, block)
  }
  for (const block of [
    'all',
    '126.0.0.0/7',
    '127.0.0.0/7',
    '0.0.0.0/0',
    '10.0.0.1',
    '::/0',
    '::1/127',
    '::2/128',
    '',
  ]) {
    assert.equal(isLoopback(block), false, block)
  }
})

test('localhost, loopback addresses and sockets are this machine, names may be any', () => {
  assert.deepEqual(['localhost', 'LOCALHOST', '127.0.0.2', '::1', '/tmp'].map(isLocalHost), Array(5).fill(true))
  assert.deepEqual(['db1', '10.0.0.1', 'localhost.example.com'].map(isLocalHost), Array(3).fill(false))
})

test('a socket path may have 107 bytes, counted in bytes', () => {
  const rest = '/.s.PGSQL.6432'.length
  assert.equal(fitsSocketPath(`/${'a'.repeat(107 - rest - 1)}`, 6432), true)
  assert.equal(fitsSocketPath(`/${'a'.repeat(107 - rest)}`, 6432), false)
  assert.equal(fitsSocketPath(`/${'ä'.repeat(60)}`, 6432), false)
})
