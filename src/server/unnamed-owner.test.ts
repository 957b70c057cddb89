import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UNKNOWN_OWNER } from '../session/unnamed-statement.ts'
import { REPLY, REPLY_RING_BYTES, ReplyQueue } from './reply-queue.ts'
import { dropUnnamed } from './unnamed-owner.ts'

/** Whose the unnamed statement is after session 7 has dropped `owner`'s. */
function ownerAfter(owner: number, isUnfinished: boolean): number {
  const queue = new ReplyQueue(new Uint8Array(REPLY_RING_BYTES))
  if (isUnfinished) queue.push(REPLY.bind)
  const server = { queue, unnamedOwner: owner }
  dropUnnamed(server, 7)
  return server.unnamedOwner
}

test('outside of an extended query it is gone for sure', () => {
  assert.deepEqual(
    [7, 8, UNKNOWN_OWNER].map((owner) => ownerAfter(owner, false)),
    [0, 0, 0],
  )
})

test('in an extended query the drop may be skipped: one of another session may be there still', () => {
  assert.deepEqual(
    [0, 7, 8].map((owner) => ownerAfter(owner, true)),
    [0, 7, UNKNOWN_OWNER],
  )
})
