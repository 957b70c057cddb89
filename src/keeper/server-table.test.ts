import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FdChannel } from '../io/fd-channel.ts'
import { SERVER_SLOT_BYTES } from '../memory/layout.ts'
import { Region } from '../memory/region.ts'
import { SERVER, SERVER_STATE } from '../memory/server-slots.ts'
import { ServerTable } from './server-table.ts'

const WORDS = SERVER_SLOT_BYTES / 4

function table() {
  const region = new Region(new ArrayBuffer(4 * SERVER_SLOT_BYTES), 0, SERVER_SLOT_BYTES, 4)
  return { servers: new ServerTable(region), region }
}

function connection() {
  const [ours, theirs] = FdChannel.pair()
  return { ours, peer: new FdChannel(theirs) }
}

test('a kept connection lives until it is dropped by its plane under its generation', (t) => {
  const { servers } = table()
  const { ours, peer } = connection()
  t.after(() => peer.close())
  servers.put({ slot: 2, generation: 5 }, ours, 0)
  assert.equal(ours.closed, true, 'the table took it over')
  assert.equal(servers.drop({ slot: 2, generation: 4 }, 0), false)
  assert.equal(servers.drop({ slot: 2, generation: 5 }, 1), false)
  assert.equal(peer.receive(), 'empty')
  assert.equal(servers.drop({ slot: 2, generation: 5 }, 0), true)
  assert.equal(peer.receive(), 'gone')
  assert.equal(servers.count, 0)
})

test('a second connection in the same slot ends the first', (t) => {
  const { servers } = table()
  const first = connection()
  const second = connection()
  t.after(() => [first.peer, second.peer].forEach((peer) => void peer.close()))
  servers.put({ slot: 1, generation: 1 }, first.ours, 0)
  servers.put({ slot: 1, generation: 2 }, second.ours, 0)
  assert.equal(first.peer.receive(), 'gone')
  assert.equal(second.peer.receive(), 'empty')
  servers.releaseAllOf(0)
})

test('the death of a plane frees its slots, kept or not, and leaves those of others', (t) => {
  const { servers, region } = table()
  const mine = connection()
  const other = connection()
  t.after(() => [mine.peer, other.peer].forEach((peer) => void peer.close()))
  for (const [slot, plane] of [0, 1, 0].entries()) {
    region.i32[slot * WORDS + SERVER.state] = SERVER_STATE.idle
    region.i32[slot * WORDS + SERVER.plane] = plane
    region.i32[slot * WORDS + SERVER.generation] = 10 + slot
  }
  servers.put({ slot: 0, generation: 10 }, mine.ours, 0)
  servers.put({ slot: 1, generation: 11 }, other.ours, 1)
  assert.equal(servers.releaseAllOf(0), 1)
  assert.equal(mine.peer.receive(), 'gone')
  assert.equal(other.peer.receive(), 'empty')
  assert.deepEqual(
    [0, 1, 2].map((slot) => region.i32[slot * WORDS + SERVER.state]),
    [SERVER_STATE.free, SERVER_STATE.idle, SERVER_STATE.free],
  )
  assert.deepEqual(
    [0, 1, 2].map((slot) => region.i32[slot * WORDS + SERVER.generation]),
    [10, 11, 12],
  )
  servers.releaseAllOf(1)
})
