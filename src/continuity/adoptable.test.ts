import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CLIENT_STATE_NAMES } from '../memory/client-slots.ts'
import { SERVER_STATE_NAMES } from '../memory/server-slots.ts'
import { adoptable, type KeptClient, type StreamPosition, whyNotAdoptable } from './adoptable.ts'

const settled: StreamPosition = { unread: 0, unreadKept: 0, unsent: 0, unsentKept: 0 }
const kept: KeptClient = {
  state: 'idle',
  keysAreLost: false,
  torn: false,
  unsaved: false,
  isDedicated: false,
  hadServer: false,
  hasServer: false,
  bodyRemaining: 0,
  position: settled,
}

/** The reason and whether it can be told; null: the client is kept. */
function refusal(client: Partial<KeptClient>): readonly [string, boolean] | null {
  const verdict = adoptable({ ...kept, ...client })
  return verdict.adopted ? null : [verdict.reason, verdict.canBeTold]
}

test('a client is kept when every byte is accounted for, whatever it was doing', () => {
  for (const state of ['idle', 'waiting', 'active'] as const) assert.equal(refusal({ state }), null)
  assert.equal(refusal({ state: 'active', hadServer: true, hasServer: true, bodyRemaining: 5 }), null)
  assert.equal(refusal({ position: { unread: 5, unreadKept: 5, unsent: 0, unsentKept: 9 } }), null)
  assert.equal(refusal({ position: { unread: 0, unreadKept: 5, unsent: 9, unsentKept: 9 } }), null)
})

test('nobody is told anything where it is not certain which byte comes next', () => {
  const unknown: readonly Partial<StreamPosition>[] = [
    { unread: null },
    { unsent: null },
    { unread: -1 },
    { unread: 6, unreadKept: 5 },
    { unsent: -1 },
    { unsent: 10, unsentKept: 9 },
  ]
  for (const position of unknown) {
    const verdict = refusal({ position: { ...settled, ...position } })
    assert.equal(verdict?.[1], false, JSON.stringify(position))
  }
  assert.deepEqual(refusal({ torn: true }), ['it was in the middle of what cannot be written down', false])
  assert.deepEqual(refusal({ keysAreLost: true }), ['the keys of its TLS session are lost', false])
})

test('whoever cannot be gone on with is told, but not in the middle of a message', () => {
  for (const [client, reason] of [
    [{ unsaved: true }, 'there was no room to write down what it was'],
    [{ isDedicated: true }, 'its server connection was its own for life'],
    [{ hadServer: true, hasServer: false }, 'its server connection is lost'],
  ] as const) {
    assert.deepEqual(refusal(client), [reason, true])
    assert.deepEqual(refusal({ ...client, bodyRemaining: 1 }), [reason, false])
  }
})

test('a client that is leaving is let go, and one whose login cannot be gone on with', () => {
  const gone = [null, ...CLIENT_STATE_NAMES.filter((state) => refusal({ state }) !== null)]
  assert.deepEqual(gone, [null, 'free', 'closing'])
  for (const state of gone) assert.equal(refusal({ state })?.[1], false)
  for (const doubt of [{ torn: true }, { keysAreLost: true }, { position: { ...settled, unread: null } }]) {
    assert.deepEqual(refusal({ state: 'login', ...doubt }), ['its login was not over', false])
  }
})

test('server connections are kept once they have logged in, as long as nothing is in doubt', () => {
  const server = { keysAreLost: false, torn: false, position: settled }
  const lost = SERVER_STATE_NAMES.filter((state) => whyNotAdoptable({ ...server, state }) !== null)
  assert.deepEqual(lost, ['free', 'connecting', 'login', 'cancelling', 'closing'])
  const state = 'idle'
  assert.match(whyNotAdoptable({ ...server, state: null }) ?? '', /not in use/)
  assert.match(whyNotAdoptable({ ...server, state, torn: true }) ?? '', /cannot be written down/)
  assert.match(whyNotAdoptable({ ...server, state, keysAreLost: true }) ?? '', /TLS/)
  assert.match(whyNotAdoptable({ ...server, state, position: { ...settled, unread: 1 } }) ?? '', /sent last is lost/)
})
