import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  CLIENT_SLOT_BYTES,
  type Geometry,
  HEADER_BYTES,
  HISTORY_RECORD_BYTES,
  HISTORY_RECORDS,
  IDENTITY_RECORD_BYTES,
  IDENTITY_RECORDS,
  MAX_PLANES,
  PAGE_BYTES,
  PLANE_RECORD_BYTES,
  POOL_RECORD_BYTES,
  PROFILE_RECORD_BYTES,
  regionsOf,
  SERVER_SLOT_BYTES,
  SHARD_RECORD_BYTES,
} from './layout.ts'
import { SHARD_RECORDS } from './shard-records.ts'
import { TLS_RECORD_BYTES } from './tls-records.ts'

const geometry: fc.Arbitrary<Geometry> = fc.record({
  clientSlots: fc.nat(100_000),
  ordinaryClientSlots: fc.nat(100_000),
  serverSlots: fc.nat(50_000),
  poolRecords: fc.nat(10_000),
  planes: fc.integer({ min: 1, max: MAX_PLANES }),
  arenaBytesPerPlane: fc.nat(2 ** 31),
})

test('regions begin at pages, follow each other, and have room for all of their records', () => {
  fc.assert(
    fc.property(geometry, (wanted) => {
      const {
        planes,
        clients,
        servers,
        pools,
        profiles,
        identities,
        history,
        shards,
        clientTls,
        serverTls,
        arenas,
        totalBytes,
      } = regionsOf(wanted)
      const borders = [
        0,
        planes,
        clients,
        servers,
        pools,
        profiles,
        identities,
        history,
        shards,
        clientTls,
        serverTls,
        arenas,
        totalBytes,
      ]
      const needed = [
        HEADER_BYTES,
        MAX_PLANES * PLANE_RECORD_BYTES,
        wanted.clientSlots * CLIENT_SLOT_BYTES,
        wanted.serverSlots * SERVER_SLOT_BYTES,
        wanted.poolRecords * POOL_RECORD_BYTES,
        wanted.clientSlots * PROFILE_RECORD_BYTES,
        wanted.planes * IDENTITY_RECORDS * IDENTITY_RECORD_BYTES,
        wanted.planes * HISTORY_RECORDS * HISTORY_RECORD_BYTES,
        (wanted.planes + 1) * SHARD_RECORDS * SHARD_RECORD_BYTES,
        wanted.clientSlots * TLS_RECORD_BYTES,
        wanted.serverSlots * TLS_RECORD_BYTES,
        wanted.planes * wanted.arenaBytesPerPlane,
      ]
      for (const [region, bytes] of needed.entries()) {
        const [start, end] = [borders[region] as number, borders[region + 1] as number]
        assert.equal(start % PAGE_BYTES, 0)
        assert.ok(end - start >= bytes)
        assert.ok(end - start < bytes + PAGE_BYTES * (region === 11 ? wanted.planes : 1), 'no more than rounding costs')
      }
      assert.equal(totalBytes % PAGE_BYTES, 0)
    }),
  )
})
