import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FdChannel } from '../io/fd-channel.ts'
import { CLIENT, CLIENT_STATE } from '../memory/client-slots.ts'
import { CLIENT_SLOT_BYTES } from '../memory/layout.ts'
import { Region } from '../memory/region.ts'
import { ClientTable } from './client-table.ts'

const WORDS = CLIENT_SLOT_BYTES / 4

function table(slots = 3): { clients: ClientTable; region: Region } {
  const region = new Region(new ArrayBuffer(slots * CLIENT_SLOT_BYTES), 0, CLIENT_SLOT_BYTES, slots)
  return { clients: new ClientTable(region, slots), region }
}

/** One end for the table, the other to see what happens to it. */
function connection() {
  const [ours, theirs] = FdChannel.pair()
  return { ours, peer: new FdChannel(theirs) }
}

test('a held client has a slot of its own with a generation that the shared memory shows', (t) => {
  const { clients, region } = table()
  const { ours, peer } = connection()
  t.after(() => peer.close())
  const slot = clients.hold(ours, 0)
  assert.deepEqual(slot, { slot: 0, generation: 1 })
  assert.equal(region.i32[CLIENT.generation], 1)
  assert.equal(ours.closed, true, 'the table took it over')
  assert.equal(peer.receive(), 'empty')
  assert.equal(clients.count, 1)
  clients.release(slot, 0)
})

test('releasing ends the connection even while a duplicate of it exists elsewhere', (t) => {
  const { clients } = table()
  const { ours, peer } = connection()
  const [carrier, receiver] = FdChannel.pair()
  const channel = new FdChannel(carrier)
  t.after(() => [peer, channel, receiver].forEach((each) => void each.close()))
  const slot = clients.hold(ours, 0)
  channel.send(Buffer.from('x'), 1, [clients.descriptor(slot.slot) ?? -1])
  assert.equal(clients.release(slot, 0), true)
  assert.equal(peer.receive(), 'gone')
  assert.equal(clients.descriptor(slot.slot), null)
})

test('a freed slot is wiped, keeps its generation, and gives the next client a new one', (t) => {
  const { clients, region } = table()
  const first = connection()
  const second = connection()
  t.after(() => [first.peer, second.peer].forEach((peer) => void peer.close()))
  const slot = clients.hold(first.ours, 0)
  region.i32[CLIENT.state] = CLIENT_STATE.active
  region.i32[WORDS - 1] = 99
  clients.release(slot, 0)
  assert.equal(region.i32[CLIENT.state], CLIENT_STATE.free)
  assert.equal(region.i32[WORDS - 1], 0)
  assert.equal(region.i32[CLIENT.generation], 1)
  assert.deepEqual(clients.hold(second.ours, 0), { slot: 0, generation: 2 })
  clients.releaseAllOf(0)
})

test('a late message about an earlier holder of the slot changes nothing', (t) => {
  const { clients } = table()
  const first = connection()
  const second = connection()
  t.after(() => [first.peer, second.peer].forEach((peer) => void peer.close()))
  const old = clients.hold(first.ours, 0)
  clients.release(old, 0)
  const current = clients.hold(second.ours, 0)
  assert.equal(clients.release(old, 0), false)
  assert.equal(clients.release({ ...current, slot: 77 }, 0), false)
  assert.equal(clients.release(current, 1), false, 'another plane has no say in it')
  assert.equal(second.peer.receive(), 'empty')
  clients.releaseAllOf(0)
})

test('the death of a plane ends its clients and no others', (t) => {
  const { clients } = table()
  const all = [connection(), connection(), connection()]
  t.after(() => all.forEach(({ peer }) => void peer.close()))
  for (const [index, { ours }] of all.entries()) clients.hold(ours, index === 1 ? 1 : 0)
  assert.equal(clients.releaseAllOf(0), 2)
  assert.deepEqual(
    all.map(({ peer }) => peer.receive()),
    ['gone', 'empty', 'gone'],
  )
  assert.equal(clients.free, 2)
  clients.releaseAllOf(1)
})

test('generations begin again after the last one, never at a value that a packet cannot carry', (t) => {
  const { clients, region } = table()
  const { ours, peer } = connection()
  t.after(() => peer.close())
  region.i32[CLIENT.generation] = -1
  assert.deepEqual(clients.hold(ours, 0), { slot: 0, generation: 0 })
  clients.releaseAllOf(0)
})

test('a client of an earlier keeper is adopted with its generation, and nobody else gets its slot', (t) => {
  const { clients, region: slots } = table()
  const fd = () => {
    const { ours, peer } = connection()
    t.after(() => peer.close())
    return ours
  }
  slots.i32[1 * WORDS + CLIENT.generation] = 9
  slots.i32[1 * WORDS + CLIENT.state] = CLIENT_STATE.idle
  assert.throws(() => clients.adopt({ slot: 1, generation: 8 }, fd(), 0), /cannot be adopted/)
  clients.adopt({ slot: 1, generation: 9 }, fd(), 0)
  assert.throws(() => clients.adopt({ slot: 1, generation: 9 }, fd(), 0), /cannot be adopted/)
  assert.deepEqual(clients.of(0), [{ slot: 1, generation: 9 }])
  assert.notEqual(clients.hold(fd(), 0).slot, 1)
  assert.equal(clients.release({ slot: 1, generation: 9 }, 0), true)
  assert.equal(clients.count, 1)
})

test('what clients left that nobody holds is wiped, and what was never used is not touched', (t) => {
  const { clients, region: slots } = table()
  const fd = () => {
    const { ours, peer } = connection()
    t.after(() => peer.close())
    return ours
  }
  for (const slot of [0, 1]) {
    slots.i32[slot * WORDS + CLIENT.generation] = 4
    slots.i32[slot * WORDS + CLIENT.state] = CLIENT_STATE.idle
  }
  slots.i32[2 * WORDS + CLIENT.pins] = 77
  clients.adopt({ slot: 0, generation: 4 }, fd(), 0)
  clients.wipeUnheld(0)
  const state = (slot: number) => slots.i32[slot * WORDS + CLIENT.state]
  assert.deepEqual([state(0), state(1)], [CLIENT_STATE.idle, CLIENT_STATE.free])
  assert.equal(slots.i32[1 * WORDS + CLIENT.generation], 4)
  assert.equal(slots.i32[2 * WORDS + CLIENT.pins], 77)
})
