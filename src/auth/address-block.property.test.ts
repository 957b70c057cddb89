import assert from 'node:assert/strict'
import { BlockList } from 'node:net'
import { test } from 'node:test'
import fc from 'fast-check'
import { blockContains, parseAddress, parseAddressBlock } from './address-block.ts'

/** What Node's own BlockList, another implementation, says about plain addresses of one family. */
function nodeContains(network: string, prefix: number, address: string, family: 'ipv4' | 'ipv6'): boolean {
  const list = new BlockList()
  list.addSubnet(network, prefix, family)
  return list.check(address, family)
}

function contains(block: string, address: string): boolean {
  const parsed = parseAddressBlock(block)
  const bytes = parseAddress(address)
  assert.ok(parsed !== null && bytes !== null)
  return blockContains(parsed, bytes)
}

/** Two addresses that share a random prefix, as random pairs hardly do. */
const ipv4Pair = fc
  .tuple(fc.nat(0xffffffff), fc.nat(0xffffffff), fc.nat(32))
  .map(([a, b, shared]) => [a, shared === 0 ? b : (a ^ ((b >>> 1) >>> (shared - 1))) >>> 0] as const)
const dotted = (value: number) => [24, 16, 8, 0].map((shift) => (value >>> shift) & 0xff).join('.')

test('an IPv4 block holds what Node’s BlockList holds, mapped to IPv6 or not', () => {
  fc.assert(
    fc.property(ipv4Pair, fc.integer({ min: 1, max: 32 }), ([network, address], prefix) => {
      const expected = nodeContains(dotted(network), prefix, dotted(address), 'ipv4')
      assert.equal(contains(`${dotted(network)}/${prefix}`, dotted(address)), expected)
      assert.equal(contains(`${dotted(network)}/${prefix}`, `::ffff:${dotted(address)}`), expected)
      assert.equal(contains(`::FFFF:${dotted(network)}/${prefix + 96}`, dotted(address)), expected)
      assert.ok(contains('0.0.0.0/0', dotted(address)))
    }),
  )
})

test('an IPv6 block holds what Node’s BlockList holds, however the addresses are written', () => {
  fc.assert(
    fc.property(fc.ipV6(), fc.ipV6(), fc.integer({ min: 1, max: 128 }), (network, address, prefix) => {
      fc.pre(parseAddress(network)?.length === 16 && parseAddress(address)?.length === 16)
      assert.equal(contains(`${network}/${prefix}`, address), nodeContains(network, prefix, address, 'ipv6'))
      assert.ok(contains(network, network))
      assert.ok(contains(`${network}/${prefix}`, `${network}%eth0`))
    }),
  )
})

test('an IPv6 address becomes its 16 bytes', () => {
  const hex = (text: string) => Buffer.from(parseAddress(text) ?? []).toString('hex')
  assert.equal(hex('::'), '0'.repeat(32))
  assert.equal(hex('::1'), `${'0'.repeat(31)}1`)
  assert.equal(hex('1::'), `0001${'0'.repeat(28)}`)
  assert.equal(hex('2001:db8::a:0:b'), '20010db8000000000000000a0000000b')
  assert.equal(hex('1:2:3:4:5:6:7:8'), '00010002000300040005000600070008')
  assert.equal(hex('64:ff9b::192.0.2.33'), '0064ff9b0000000000000000c0000221')
  assert.equal(hex('::ffff:192.0.2.33'), 'c0000221')
})

for (const text of [
  '',
  '10.1',
  '10.0.0.0.0',
  '10.0.0.256',
  '1::2::3',
  'localhost',
  '10.0.0.0/',
  '10.0.0.0/08',
  '10.0.0.0/-1',
  '::/129',
  '10.0.0.0/8/8',
  'fe80::1%eth0/64',
  ' 10.0.0.1',
]) {
  test(`${JSON.stringify(text)} is no block`, () => {
    assert.equal(parseAddressBlock(text), null)
  })
}
