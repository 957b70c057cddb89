import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SERVER_SLOT_BYTES } from '../memory/layout.ts'
import { Region } from '../memory/region.ts'
import { SERVER } from '../memory/server-slots.ts'
import { ServerSlotList } from './server-slot-list.ts'

const open = (): { region: Region; slots: ServerSlotList } => {
  const region = new Region(new ArrayBuffer(2 * SERVER_SLOT_BYTES), 0, SERVER_SLOT_BYTES, 2)
  return { region, slots: new ServerSlotList(region) }
}

test('each slot is taken once, until it is released', () => {
  const { slots } = open()
  assert.deepEqual([slots.take(), slots.take(), slots.take()], [0, 1, -1])
  slots.release(1)
  assert.deepEqual([slots.take(), slots.take()], [1, -1])
})

test('the generation tells one connection in a slot from the next, in the slot and to the keeper', () => {
  const { region, slots } = open()
  const generation = (): number | undefined => region.i32[(SERVER_SLOT_BYTES >> 2) + SERVER.generation]
  assert.deepEqual(slots.opened(1), { slot: 1, generation: 1 })
  assert.deepEqual(slots.release(1), { slot: 1, generation: 1 })
  assert.deepEqual(slots.opened(1), { slot: 1, generation: 2 })
  assert.equal(generation(), 2)
  assert.deepEqual(slots.opened(0), { slot: 0, generation: 1 })
})
