import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { normaliseApplication, subnetOf } from './identity.ts'

describe('application names', () => {
  for (const [name, normalised] of [
    ['', ''],
    ['Web-API', 'web-api'],
    ['worker-17', 'worker-#'],
    ['worker-17.42', 'worker-#'],
    ['job 3f2b1c9e-7a61-4b35-9d8f-0123456789ab', 'job #'],
    ['puma: 10.0.3.7:8080', 'puma: #'],
    ['etl@host-12.example.com', 'etl@#'],
    ['api deadbeef42', 'api #'],
    ['pg_dump', 'pg_dump'],
    ['facade', 'facade'],
  ] as const) {
    it(`${JSON.stringify(name)} is ${JSON.stringify(normalised)}`, () => {
      assert.equal(normaliseApplication(name), normalised)
    })
  }

  it('fit into their place in the record', () => {
    assert.ok(Buffer.byteLength(normaliseApplication('ü'.repeat(60))) <= 63)
  })
})

describe('subnets', () => {
  for (const [address, subnet] of [
    ['10.1.2.3', '10.1.2.0/24'],
    ['::ffff:10.1.2.3', '10.1.2.0/24'],
    ['2001:db8:0:5:1:2:3:4', '2001:db8:0:5::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
  ] as const) {
    it(`of ${address}`, () => assert.equal(subnetOf(address, false), subnet))
  }

  it('of a Unix socket', () => assert.equal(subnetOf('/run/x', true), 'local'))
})
