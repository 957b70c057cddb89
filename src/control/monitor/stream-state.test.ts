import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readStreamState, type StreamState, strayReason } from './stream-state.ts'

const replica: StreamState = { isInRecovery: true, isStreaming: true, timeline: 2, replayed: 100, retryMs: 5000 }
const primary: StreamState = { isInRecovery: false, isStreaming: false, timeline: 2, replayed: null, retryMs: 5000 }

function judged(changes: Partial<StreamState>, before: Partial<StreamState> | null = null, ofPrimary = primary) {
  const last = before === null ? null : { ...replica, ...before }
  return strayReason({ name: 'two', state: { ...replica, ...changes } }, { name: 'one', state: ofPrimary }, last)
}

test('a replica that streams the timeline of the primary follows it, from whomever it streams', () => {
  assert.equal(judged({}), null)
})

test('a replica that streams from nobody, or an older timeline, has gone astray', () => {
  assert.equal(judged({ isStreaming: false }), 'it streams from nobody')
  assert.equal(judged({ isStreaming: false }, { replayed: 100 }), 'it streams from nobody')
  assert.equal(judged({ timeline: 1 }), 'it streams timeline 1, and that of one is 2')
})

test('a replica that replays what it has is on its way', () => {
  assert.equal(judged({ isStreaming: false }, { replayed: 99 }), null)
})

test('a primary of an older timeline has gone astray, one of the same is not for us to judge', () => {
  assert.match(judged({ isInRecovery: false, timeline: 1 }) ?? '', /takes itself for a primary, with timeline 1/)
  assert.equal(judged({ isInRecovery: false, isStreaming: false }), null)
})

test('nobody has to follow a primary with an older timeline, or one that is none', () => {
  assert.equal(judged({ isStreaming: false, timeline: 3 }), null)
  assert.equal(judged({ isStreaming: false }, null, replica), null)
})

test('who is not told is not judged', () => {
  const row = { recovery: true, receives: true, status: null, timeline: null, replayed: 5, retry: 100 }
  const state = readStreamState(row)
  assert.deepEqual(state, { isInRecovery: true, isStreaming: null, timeline: null, replayed: 5, retryMs: 100 })
  assert.equal(judged(state), null)
  assert.equal(readStreamState({ ...row, receives: false }).isStreaming, false)
  assert.equal(readStreamState({ ...row, status: 'waiting' }).isStreaming, false)
  assert.equal(readStreamState({ ...row, status: 'streaming' }).isStreaming, true)
})
