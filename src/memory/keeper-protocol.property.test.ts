import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { KeeperProtocolError } from './keeper-packets.ts'
import {
  decodeKeeperMessage,
  decodePlaneMessage,
  encodeKeeperMessage,
  encodePlaneMessage,
  type KeeperMessage,
  MAX_PACKET_BYTES,
  type PlaneMessage,
} from './keeper-protocol.ts'

const u32 = fc.integer({ min: 0, max: 0xffffffff })
const u16 = fc.integer({ min: 0, max: 0xffff })
const references = (most: number) =>
  fc.array(fc.record({ slot: u32, generation: u32 }, { noNullPrototype: true }), { maxLength: most })
const newClient = fc.record(
  {
    slot: u32,
    generation: u32,
    family: fc.constantFrom(1 as const, 4 as const, 6 as const),
    remotePort: u16,
    localPort: u16,
    address: fc.oneof(fc.constant(''), fc.ipV4(), fc.ipV6()),
  },
  { noNullPrototype: true },
)

const place = fc.oneof(
  fc.record({ kind: fc.constant('tcp' as const), address: fc.ipV6(), port: u16 }, { noNullPrototype: true }),
  fc.record(
    { kind: fc.constant('unix' as const), path: fc.string({ unit: 'binary', maxLength: 100 }) },
    { noNullPrototype: true },
  ),
)
const adoptee = fc.record({ plane: u32, generation: u32, pid: u32, listeners: u32 }, { noNullPrototype: true })

test('every message of the keeper comes out as it went in', () => {
  const packet = Buffer.alloc(MAX_PACKET_BYTES)
  const message: fc.Arbitrary<KeeperMessage> = fc.oneof(
    fc.array(newClient, { maxLength: 64 }).map((clients) => ({ op: 'new' as const, clients })),
    references(64).map((clients) => ({ op: 'keep-clients' as const, clients })),
    references(64).map((servers) => ({ op: 'keep-servers' as const, servers })),
    fc.constant({ op: 'serve' as const }),
    fc.constant({ op: 'release' as const }),
    place.map((where) => ({ op: 'listener' as const, place: where })),
  )
  fc.assert(
    fc.property(message, (value) => {
      const length = encodeKeeperMessage(value, packet)
      assert.deepEqual(decodeKeeperMessage(packet.subarray(0, length)), value)
    }),
  )
})

test('every message of a plane comes out as it went in', () => {
  const packet = Buffer.alloc(MAX_PACKET_BYTES)
  const message: fc.Arbitrary<PlaneMessage> = fc.oneof(
    fc.constant({ op: 'standby' as const }),
    fc.constant({ op: 'ready' as const }),
    references(250).map((clients) => ({ op: 'gone' as const, clients })),
    references(64).map((servers) => ({ op: 'put' as const, servers })),
    references(250).map((servers) => ({ op: 'drop' as const, servers })),
    references(64).map((clients) => ({ op: 'have' as const, clients })),
    place.map((where) => ({ op: 'listener' as const, place: where })),
    adoptee.map((one) => ({ op: 'adopt' as const, adoptee: one })),
  )
  fc.assert(
    fc.property(message, (value) => {
      const length = encodePlaneMessage(value, packet)
      assert.deepEqual(decodePlaneMessage(packet.subarray(0, length)), value)
    }),
  )
})

test('arbitrary bytes are a message or a protocol error, never another failure', () => {
  const garbage = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes))
  fc.assert(
    fc.property(garbage, fc.boolean(), (bytes, fromKeeper) => {
      try {
        if (fromKeeper) decodeKeeperMessage(bytes)
        else decodePlaneMessage(bytes)
      } catch (error) {
        assert.ok(error instanceof KeeperProtocolError)
      }
    }),
  )
})
