import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KeeperProtocolError } from './keeper-packets.ts'
import {
  decodeKeeperMessage,
  decodePlaneMessage,
  encodeKeeperMessage,
  encodePlaneMessage,
  isAhead,
  MAX_PACKET_BYTES,
  MAX_PACKET_DESCRIPTORS,
  MAX_PACKET_REFERENCES,
  type NewClient,
} from './keeper-protocol.ts'

const packet = Buffer.alloc(MAX_PACKET_BYTES)
const client: NewClient = {
  slot: 7,
  generation: 3,
  family: 6,
  remotePort: 50000,
  localPort: 6432,
  address: '2001:db8::1',
}

test('a new client lies in the packet as the protocol describes it', () => {
  const length = encodeKeeperMessage({ op: 'new', clients: [{ ...client, family: 4, address: '10.0.0.1' }] }, packet)
  assert.equal(
    packet.subarray(0, length).toString('hex'),
    ['01000100', '07000000', '03000000', '50c3', '2019', '04', '08', Buffer.from('10.0.0.1').toString('hex')].join(''),
  )
})

test('the longest legal packets fit the announced buffer', () => {
  const longest = { ...client, address: 'f'.repeat(47) }
  assert.ok(encodeKeeperMessage({ op: 'new', clients: Array(MAX_PACKET_DESCRIPTORS).fill(longest) }, packet) > 0)
  const clients = Array(MAX_PACKET_REFERENCES).fill({ slot: 0xffffffff, generation: 0xffffffff })
  const length = encodePlaneMessage({ op: 'gone', clients }, packet)
  assert.deepEqual(decodePlaneMessage(packet.subarray(0, length)), { op: 'gone', clients })
})

test('what a plane’s successor is given comes with one descriptor each, so no more of it fits a packet than of new clients', () => {
  const kept = Array(MAX_PACKET_DESCRIPTORS + 1).fill({ slot: 1, generation: 1 })
  assert.throws(() => encodeKeeperMessage({ op: 'keep-clients', clients: kept }, packet), /65 records/)
  assert.throws(() => encodeKeeperMessage({ op: 'keep-servers', servers: kept }, packet), /65 records/)
  assert.throws(() => encodeKeeperMessage({ op: 'ahead', clients: kept }, packet), /65 records/)
  for (const op of [6, 7, 15]) {
    const length = encodePlaneMessage({ op: 'gone', clients: kept }, packet)
    packet[0] = op
    assert.throws(() => decodeKeeperMessage(packet.subarray(0, length)), /65 records in one packet/)
  }
})

test('what is given ahead is told from everything else by its first byte', () => {
  const clients = [{ slot: 1, generation: 2 }]
  const first = (op: 'ahead' | 'ended' | 'keep-clients'): boolean => {
    const length = encodeKeeperMessage({ op, clients }, packet)
    assert.deepEqual(decodeKeeperMessage(packet.subarray(0, length)), { op, clients })
    return isAhead(packet[0] as number)
  }
  assert.deepEqual([first('ahead'), first('ended'), first('keep-clients')], [true, false, false])
})

test('more records than a packet carries are refused by the sender', () => {
  const many = Array(MAX_PACKET_REFERENCES + 1).fill({ slot: 1, generation: 1 })
  assert.throws(() => encodePlaneMessage({ op: 'drop', servers: many }, packet), /251 records in one packet/)
  assert.throws(() => encodePlaneMessage({ op: 'put', servers: many.slice(0, 65) }, packet), /65 records/)
  assert.throws(() => encodeKeeperMessage({ op: 'new', clients: Array(65).fill(client) }, packet), /65 records/)
})

test('an address longer than a slot can hold is refused by the sender', () => {
  const clients = [{ ...client, address: 'f'.repeat(48) }]
  assert.throws(() => encodeKeeperMessage({ op: 'new', clients }, packet), /address of 48 bytes/)
})

test('a packet cut anywhere is an error, never a shorter list', () => {
  const length = encodeKeeperMessage({ op: 'new', clients: [client, client] }, packet)
  for (let cut = 0; cut < length; cut++) {
    assert.throws(() => decodeKeeperMessage(Buffer.from(packet.subarray(0, cut))), KeeperProtocolError)
  }
  const gone = encodePlaneMessage({ op: 'gone', clients: [{ slot: 1, generation: 2 }] }, packet)
  for (let cut = 0; cut < gone; cut++) {
    assert.throws(() => decodePlaneMessage(Buffer.from(packet.subarray(0, cut))), KeeperProtocolError)
  }
})

test('bytes behind the last record, unknown operations and families are errors', () => {
  const length = encodeKeeperMessage({ op: 'new', clients: [client] }, packet)
  packet[length] = 0
  assert.throws(() => decodeKeeperMessage(packet.subarray(0, length + 1)), /1 bytes behind/)
  assert.throws(() => decodeKeeperMessage(Buffer.from([10, 0, 0, 0])), /operation 10 from the keeper/)
  assert.throws(() => decodePlaneMessage(Buffer.from([9, 0, 0, 0])), /operation 9 from a plane/)
  assert.throws(() => decodePlaneMessage(Buffer.from([2, 0, 1, 0])), /READY with records/)
  assert.throws(() => decodePlaneMessage(Buffer.from([10, 0, 0, 0, 0])), /STANDBY with records/)
  assert.throws(() => decodeKeeperMessage(Buffer.from([8, 0, 1, 0])), /SERVE with records/)
  assert.throws(() => decodeKeeperMessage(Buffer.from([9, 0, 0, 0, 0])), /RELEASE with records/)
  assert.throws(() => decodePlaneMessage(Buffer.from([16, 0, 1, 0])), /PREPARED with records/)
  packet[4 + 12] = 5
  assert.throws(() => decodeKeeperMessage(packet.subarray(0, length)), /address family 5/)
})
