import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AF_INET, AF_INET6, AF_UNIX } from './native.ts'
import { decodeSocketAddress, encodeSocketAddress, parseSocketAddress, SOCKET_ADDRESS_BYTES } from './socket-address.ts'

/** `host` as it comes back from the kernel. */
function roundTrip(host: string, port = 5432): { host: string; port: number; family: number } {
  const bytes = Buffer.alloc(SOCKET_ADDRESS_BYTES, 0xff)
  const length = encodeSocketAddress(parseSocketAddress(host, port), bytes)
  return decodeSocketAddress(bytes, length)
}

test('IPv4: sockaddr_in as the kernel wants it', () => {
  const bytes = Buffer.alloc(SOCKET_ADDRESS_BYTES, 0xff)
  assert.equal(encodeSocketAddress(parseSocketAddress('192.0.2.7', 5432), bytes), 16)
  assert.equal(bytes.toString('hex', 0, 16), '02001538c00002070000000000000000')
})

test('IPv6: sockaddr_in6 as the kernel wants it', () => {
  const bytes = Buffer.alloc(SOCKET_ADDRESS_BYTES, 0xff)
  assert.equal(encodeSocketAddress(parseSocketAddress('2001:db8::7', 5432), bytes), 28)
  assert.equal(bytes.toString('hex', 0, 28), '0a00153800000000' + '20010db8000000000000000000000007' + '00000000')
})

test('Unix: sockaddr_un with its zero byte, and nothing of an earlier address', () => {
  const bytes = Buffer.alloc(SOCKET_ADDRESS_BYTES, 0xff)
  assert.equal(encodeSocketAddress(parseSocketAddress('/a/b', 0), bytes), 7)
  assert.equal(bytes.toString('hex', 0, 8), '01002f612f620000')
})

// RFC 5952 §4 and §5.
const compressed: readonly (readonly [string, string])[] = [
  ['0:0:0:0:0:0:0:0', '::'],
  ['0:0:0:0:0:0:0:1', '::1'],
  ['1:0:0:0:0:0:0:0', '1::'],
  ['2001:0DB8:0000:0000:0000:0000:0002:0001', '2001:db8::2:1'],
  ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
  ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
  ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
  ['0:0:1:0:0:0:0:1', '0:0:1::1'],
  ['1:0:0:10:0:0:0:0', '1:0:0:10::'],
  ['10:100:1000:0:0:20:0:0', '10:100:1000::20:0:0'],
  ['fe80::1:0:0', 'fe80::1:0:0'],
  ['0:1:0:0:0:0:0:0', '0:1::'],
  ['::', '::'],
  ['::1', '::1'],
  ['1::', '1::'],
  ['::2:3:4:5:6:7:8', '0:2:3:4:5:6:7:8'],
  ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
  ['fe80::1%eth0', 'fe80::1'],
]
for (const [given, expected] of compressed) {
  test(`IPv6: ${given} is written ${expected}`, () => {
    assert.deepEqual(roundTrip(given), { family: AF_INET6, host: expected, port: 5432 })
  })
}

test('an IPv4 client of an IPv6 listener is an IPv4 client', () => {
  assert.deepEqual(roundTrip('::ffff:192.0.2.7'), { family: AF_INET, host: '192.0.2.7', port: 5432 })
  assert.deepEqual(roundTrip('::ffff:c000:207'), { family: AF_INET, host: '192.0.2.7', port: 5432 })
  assert.equal(roundTrip('1::ffff:c000:207').family, AF_INET6)
})

test('a Unix client without a name has an empty one', () => {
  const bytes = Buffer.alloc(SOCKET_ADDRESS_BYTES, 0xff)
  bytes.writeUInt16LE(AF_UNIX, 0)
  assert.deepEqual(decodeSocketAddress(bytes, 2), { family: AF_UNIX, host: '', port: 0 })
  assert.deepEqual(decodeSocketAddress(bytes, 0), { family: AF_UNIX, host: '', port: 0 })
})

test('a path that fills the field has no zero byte within the length', () => {
  const bytes = Buffer.alloc(SOCKET_ADDRESS_BYTES, 'x')
  bytes.writeUInt16LE(AF_UNIX, 0)
  assert.equal(decodeSocketAddress(bytes, SOCKET_ADDRESS_BYTES).host.length, 108)
})

test('a path longer than the kernel takes is refused, not cut: it would be another socket', () => {
  assert.equal(parseSocketAddress(`/${'x'.repeat(106)}`, 1).host.length, 107)
  assert.throws(() => parseSocketAddress(`/${'x'.repeat(107)}`, 1), /longer than 107 bytes/)
  assert.throws(() => parseSocketAddress(`/${'é'.repeat(54)}`, 1), /longer than 107 bytes/)
})

test('names are not addresses: nobody here can resolve them', () => {
  for (const host of ['localhost', '', '1.2.3', '1.2.3.4.5', '256.1.1.1', ':::', 'relative/path']) {
    assert.throws(() => parseSocketAddress(host, 1), /not a numeric address/, host)
  }
})
