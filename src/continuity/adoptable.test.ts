import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CLIENT_STATE_NAMES, PIN } from '../memory/client-slots.ts'
import { adoptable, type KeptClient } from './adoptable.ts'

const kept: KeptClient = {
  state: 'idle',
  tls: false,
  pins: 0,
  channels: 0,
  outboxBytes: 0,
  bodyRemaining: 0,
  heldBytes: 0,
  bytesRead: 100,
  bytesWritten: 200,
  position: { read: 100, written: 200 },
  wasServed: false,
  isRecorded: true,
}

/** The reason and whether it can be told; null: the client is kept. */
function refusal(client: Partial<KeptClient>): readonly [string, boolean] | null {
  const verdict = adoptable({ ...kept, ...client })
  return verdict.adopted ? null : [verdict.reason, verdict.canBeTold]
}

test('a client between two transactions is kept when every byte is accounted for', () => {
  assert.equal(refusal({}), null)
  // All that was on its way has arrived, whoever did not live to see it.
  assert.equal(refusal({ heldBytes: 50, position: { read: 100, written: 250 } }), null)
  // What waits for it is still there.
  assert.equal(refusal({ outboxBytes: 10 }), null)
})

test('only an idle client is kept; others that are logged in can be told', () => {
  for (const state of CLIENT_STATE_NAMES) {
    const verdict = refusal({ state })
    if (state === 'idle') assert.equal(verdict, null)
    else assert.equal(verdict?.[1], state === 'waiting' || state === 'active', state)
  }
})

test('nothing is put into the middle of a message, nor in the clear into a TLS session', () => {
  for (const [client, reason] of [
    [{ bodyRemaining: 1 }, /in the middle of a message/],
    [{ heldBytes: 50, position: { read: 100, written: 220 } }, /in the middle of a message/],
    [{ position: { read: 100, written: 201 } }, /in the middle of a message/],
    [{ outboxBytes: 1, position: null }, /in the middle of a message/],
    [{ tls: true }, /keys of its TLS session/],
  ] as const) {
    const verdict = refusal(client)
    assert.equal(verdict?.[1], false)
    assert.match(verdict[0], reason)
  }
  assert.equal(refusal({ state: 'active', outboxBytes: 1 })?.[1], false)
})

test('whoever cannot be rebuilt is told', () => {
  for (const [client, reason] of [
    [{ wasServed: true }, 'it was being served'],
    [{ heldBytes: 50 }, 'its answer is lost'],
    [{ pins: PIN.temporaryObject }, 'its server connection had state of its own'],
    [{ channels: 1 }, 'it listened for notifications'],
    [{ position: null }, 'its kind of connection does not count what went through'],
    [{ position: { read: 101, written: 200 } }, 'what it sent last is lost'],
    [{ isRecorded: false }, 'its session was in the memory of the process that is gone'],
  ] as const) {
    assert.deepEqual(refusal(client), [reason, true])
  }
})
