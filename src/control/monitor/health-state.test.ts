import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type Health,
  type HealthEvent,
  type HealthState,
  healthAfter,
  isUsable,
  unknownHealth,
} from './health-state.ts'

const at = (state: HealthState): Health => ({ state, reason: 'before', since: 1 })

test('an answer makes every shard up, a failed probe every shard down', () => {
  for (const state of ['unknown', 'up', 'suspect', 'down'] as const) {
    assert.equal(healthAfter(at(state), 'answered', 'accepts connections', 2).state, 'up')
    assert.equal(healthAfter(at(state), 'failed', 'connection refused', 2).state, 'down')
  }
})

test('a doubt makes a shard suspect only when it was up, and it stays in use', () => {
  const suspect = healthAfter(at('up'), 'doubted', 'a plane lost a connection', 5)
  assert.deepEqual(suspect, { state: 'suspect', reason: 'a plane lost a connection', since: 5 })
  assert.equal(isUsable(suspect), true)
  assert.deepEqual(healthAfter(at('unknown'), 'doubted', 'x', 5), at('unknown'))
  assert.deepEqual(healthAfter(at('down'), 'doubted', 'x', 5), at('down'))
})

test('a state that goes on keeps its beginning and takes the newer reason', () => {
  const first = healthAfter(unknownHealth(1), 'failed', 'connection refused', 2)
  assert.deepEqual(healthAfter(first, 'failed', 'host unreachable', 9), {
    state: 'down',
    reason: 'host unreachable',
    since: 2,
  })
})

test('only shards that are up or suspect are in use', () => {
  const events: readonly HealthEvent[] = ['answered', 'failed']
  assert.deepEqual(
    events.map((event) => isUsable(healthAfter(unknownHealth(0), event, '', 1))),
    [true, false],
  )
  assert.equal(isUsable(unknownHealth(0)), false)
})
