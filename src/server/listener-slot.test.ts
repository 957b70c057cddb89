import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SERVER_SLOT_BYTES } from '../memory/layout.ts'
import { Region } from '../memory/region.ts'
import { readServer, SERVER, SERVER_STATE } from '../memory/server-slots.ts'
import { countNotification, noteAudience, poolRecordOf } from './listener-slot.ts'
import type { Subscriptions } from './subscriptions.ts'

const WORDS = SERVER_SLOT_BYTES >> 2

/** Server slots, of which the second one is a listening connection's. */
function open(): Region {
  const servers = new Region(new ArrayBuffer(3 * SERVER_SLOT_BYTES), 0, SERVER_SLOT_BYTES, 3)
  servers.i32[WORDS + SERVER.state] = SERVER_STATE.listening
  return servers
}

test('what a listening connection hears, and for how many, is in its slot and in no other', () => {
  const servers = open()
  noteAudience(servers, 1, { channels: 3, subscribers: new Set([4, 5]) } as unknown as Subscriptions)
  for (let n = 0; n < 2; n++) countNotification(servers, 1, 'notifications')
  for (let n = 0; n < 5; n++) countNotification(servers, 1, 'deliveries')
  const shown = readServer(servers, 1)
  assert.deepEqual([shown?.channels, shown?.listeners, shown?.notifications, shown?.deliveries], [3, 2, 2, 5])
  for (const slot of [0, 2]) {
    const at = slot * WORDS
    assert.ok(servers.i32.subarray(at, at + WORDS).every((word) => word === 0))
  }
})

test('a server connection counts against a pool record, or against none', () => {
  const servers = open()
  assert.equal(poolRecordOf(servers, 1), -1)
  servers.i32[WORDS + SERVER.pool] = 8
  assert.equal(poolRecordOf(servers, 1), 7)
})
