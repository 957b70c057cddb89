import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { AF_INET, AF_INET6, AF_UNIX } from './native.ts'
import { decodeSocketAddress, encodeSocketAddress, parseSocketAddress, SOCKET_ADDRESS_BYTES } from './socket-address.ts'

const port = fc.nat(0xffff)
const bytes = Buffer.alloc(SOCKET_ADDRESS_BYTES)

test('IPv4 addresses come back as they went', () => {
  fc.assert(
    fc.property(fc.ipV4(), port, (host, number) => {
      const length = encodeSocketAddress(parseSocketAddress(host, number), bytes)
      assert.deepEqual(decodeSocketAddress(bytes, length), { family: AF_INET, host, port: number })
    }),
  )
})

test('IPv6 addresses come back as the address that the URL standard writes', () => {
  // Few zeros are random: half of the groups are made zero.
  const group = fc.oneof(fc.constant(0), fc.nat(0xffff)).map((value) => value.toString(16))
  const address = fc.array(group, { minLength: 8, maxLength: 8 }).map((groups) => groups.join(':'))
  fc.assert(
    fc.property(fc.oneof(address, fc.ipV6()), port, (host, number) => {
      const expected = new URL(`http://[${host}]/`).hostname.slice(1, -1)
      fc.pre(!expected.startsWith('::ffff:'))
      const length = encodeSocketAddress(parseSocketAddress(host, number), bytes)
      assert.deepEqual(decodeSocketAddress(bytes, length), { family: AF_INET6, host: expected, port: number })
    }),
    { numRuns: 1000 },
  )
})

test('IPv4-mapped addresses come back as IPv4', () => {
  fc.assert(
    fc.property(fc.ipV4(), port, (host, number) => {
      const length = encodeSocketAddress(parseSocketAddress(`::ffff:${host}`, number), bytes)
      assert.deepEqual(decodeSocketAddress(bytes, length), { family: AF_INET, host, port: number })
    }),
  )
})

test('Unix paths come back as they went', () => {
  const path = fc
    .string({ unit: 'grapheme', maxLength: 30 })
    .map((text) => `/${text.replaceAll('\0', '')}`)
    .filter((text) => Buffer.byteLength(text) <= 107)
  fc.assert(
    fc.property(path, (host) => {
      const length = encodeSocketAddress(parseSocketAddress(host, 0), bytes)
      assert.deepEqual(decodeSocketAddress(bytes, length), { family: AF_UNIX, host, port: 0 })
    }),
  )
})
