import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CLIENT_STATE_NAMES } from '../memory/client-slots.ts'
import { adoptable, type KeptClient } from './adoptable.ts'

const kept: KeptClient = { state: 'idle', tls: false, outboxBytes: 0, bodyRemaining: 0 }

test('whoever is logged in and between two messages can be told', () => {
  const told = CLIENT_STATE_NAMES.filter((state) => adoptable({ ...kept, state }).canBeTold)
  assert.deepEqual(told, ['idle', 'waiting', 'active'])
})

test('nothing is put into the middle of a message, nor in the clear into a TLS session', () => {
  for (const [client, reason] of [
    [{ ...kept, outboxBytes: 1 }, /in the middle of a message/],
    [{ ...kept, bodyRemaining: 1 }, /in the middle of a message/],
    [{ ...kept, tls: true }, /keys of its TLS session/],
  ] as const) {
    const verdict = adoptable(client)
    assert.equal(verdict.canBeTold, false)
    assert.match(verdict.reason, reason)
  }
})
