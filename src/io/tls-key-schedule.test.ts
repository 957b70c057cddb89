import assert from 'node:assert/strict'
import { test } from 'node:test'
import { keyBlock, nextTrafficSecret, TLS12, TLS13, type TlsSuite, tlsSuite, trafficKey } from './tls-key-schedule.ts'

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ''), 'hex')

function suite(version: number, id: number): TlsSuite {
  const found = tlsSuite(version, id)
  assert.ok(found)
  return found
}

// https://www.rfc-editor.org/rfc/rfc8448#section-3
test('the keys of TLS 1.3 are those of the published trace', () => {
  const aes = suite(TLS13, 0x1301)
  const server = trafficKey(aes, hex('a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643'))
  assert.deepEqual(server, { key: hex('9f02283b6c9c07efc26bb9f2ac92e356'), iv: hex('cf782b88dd83549aadf1e984') })
  const client = trafficKey(aes, hex('9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5'))
  assert.deepEqual(client, { key: hex('17422dda596ed5d9acd890e3c63f5051'), iv: hex('5b78923dee08579033e523d9') })
})

test('a secret after a key update has the length of the hash and is another one', () => {
  for (const [id, bytes] of [
    [0x1301, 32],
    [0x1302, 48],
  ] as const) {
    const secret = Buffer.alloc(bytes, 7)
    const next = nextTrafficSecret(suite(TLS13, id), secret)
    assert.equal(next.length, bytes)
    assert.notDeepEqual(next, secret)
  }
})

test('the key block of TLS 1.2 has the parts that the suite needs, all different', () => {
  const [master, client, server] = [Buffer.alloc(48, 1), Buffer.alloc(32, 2), Buffer.alloc(32, 3)]
  const gcm = keyBlock(suite(TLS12, 0xc030), master, client, server)
  assert.deepEqual([gcm.client.key.length, gcm.client.iv.length], [32, 4])
  const chacha = keyBlock(suite(TLS12, 0xcca8), master, client, server)
  assert.deepEqual([chacha.client.key.length, chacha.client.iv.length], [32, 12])
  const parts = [gcm.client.key, gcm.server.key, gcm.client.iv, gcm.server.iv].map((part) => part.toString('hex'))
  assert.equal(new Set(parts).size, 4)
})

test('suites without an AEAD, and suites of the other version, are none of ours', () => {
  assert.equal(tlsSuite(TLS12, 0xc013), null)
  assert.equal(tlsSuite(TLS12, 0x1301), null)
  assert.equal(tlsSuite(TLS13, 0xc02f), null)
})
