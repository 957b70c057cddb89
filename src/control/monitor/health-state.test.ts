import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type Health,
  type HealthEvent,
  type HealthState,
  healthAfter,
  isUsable,
  OVERLOADED_AFTER_MS,
  RELIEVED_AFTER_MS,
  unknownHealth,
} from './health-state.ts'

const STATES: readonly HealthState[] = ['unknown', 'starting', 'up', 'suspect', 'overloaded', 'down']
const at = (state: HealthState): Health => ({ ...unknownHealth(1), state, reason: 'before' })
const answer = (strain: string | null = null, proofs = 3): HealthEvent => ({
  kind: 'answered',
  reason: 'accepts connections',
  strain,
  proofs,
})
const failed: HealthEvent = { kind: 'failed', reason: 'connection refused' }
const overdue: HealthEvent = { kind: 'overdue', reason: 'no answer for 500 ms' }
const starting: HealthEvent = { kind: 'starting', reason: 'the database system is starting up' }

const after = (health: Health, events: readonly HealthEvent[], from: number, step: number): Health =>
  events.reduce((before, event, index) => healthAfter(before, event, from + index * step), health)

test('what each event makes of each state', () => {
  const next = (event: HealthEvent) => STATES.map((state) => healthAfter(at(state), event, 2).state)
  assert.deepEqual(
    next(failed),
    STATES.map(() => 'down'),
  )
  assert.deepEqual(
    next(starting),
    STATES.map(() => 'starting'),
  )
  assert.deepEqual(next(overdue), ['unknown', 'starting', 'suspect', 'suspect', 'suspect', 'down'])
  assert.deepEqual(next(answer()), ['up', 'starting', 'up', 'suspect', 'overloaded', 'starting'])
  assert.deepEqual(next(answer(null, 1)), ['up', 'up', 'up', 'up', 'overloaded', 'up'])
})

test('a replica that was away is used after three answers in a row, a primary at once', () => {
  const down = healthAfter(at('up'), failed, 100)
  const twice = after(down, [answer(), answer()], 200, 50)
  assert.deepEqual([twice.state, twice.since, twice.reason], ['starting', 200, 'answers again: 2 of 3 times'])
  assert.deepEqual(after(twice, [overdue, answer(), answer()], 300, 50).state, 'starting')
  const back = healthAfter(twice, answer(), 300)
  assert.deepEqual([back.state, back.since, back.reason], ['up', 300, 'accepts connections'])
  assert.equal(after(healthAfter(at('up'), overdue, 100), [answer(), answer()], 200, 50).state, 'suspect')
  assert.equal(after(healthAfter(at('up'), overdue, 100), [answer(), answer(), answer()], 200, 50).state, 'up')
})

test('one that leaves soon after it came back proves itself twice as long, and is forgiven in time', () => {
  const proofsOf = (health: Health): number => {
    let needed = 0
    for (let it = health; it.state !== 'up'; needed++) it = healthAfter(it, answer(), 50_000)
    return needed
  }
  const back = after(healthAfter(at('up'), failed, 0), [answer(), answer(), answer()], 100, 50)
  assert.equal(proofsOf(healthAfter(back, failed, 10_000)), 6)
  assert.equal(proofsOf(healthAfter(back, failed, 40_000)), 3)
  let edge = back
  for (let time = 1000; time < 20_000; time += 1000) {
    edge = healthAfter(edge, overdue, time)
    while (edge.state !== 'up') edge = healthAfter(edge, answer(), time)
  }
  assert.equal(proofsOf(healthAfter(edge, failed, 20_000)), 96)
})

test('strain has to last before a shard counts as overloaded, and relief before it does not', () => {
  const strained = answer('all 8 slots are taken')
  const nearly = after(at('up'), [strained, strained], 1000, OVERLOADED_AFTER_MS - 1)
  assert.deepEqual([nearly.state, nearly.reason], ['up', 'before'])
  assert.equal(after(nearly, [answer(), strained], 1000 + OVERLOADED_AFTER_MS, 1).state, 'up')
  const overloaded = healthAfter(nearly, strained, 1000 + OVERLOADED_AFTER_MS)
  assert.deepEqual([overloaded.state, overloaded.reason], ['overloaded', 'all 8 slots are taken'])
  const relaxed = after(overloaded, [answer(), answer()], 5000, RELIEVED_AFTER_MS - 1)
  assert.deepEqual([relaxed.state, relaxed.reason], ['overloaded', 'all 8 slots are taken'])
  assert.equal(after(relaxed, [strained, answer()], 10_000, 1).state, 'overloaded')
  const relieved = healthAfter(relaxed, answer(), 5000 + RELIEVED_AFTER_MS)
  assert.deepEqual([relieved.state, relieved.reason], ['up', 'accepts connections'])
})

test('a state that goes on keeps its beginning and takes the newer reason', () => {
  const first = healthAfter(unknownHealth(1), failed, 2)
  const again = healthAfter(first, { kind: 'failed', reason: 'host unreachable' }, 9)
  assert.deepEqual([again.state, again.reason, again.since], ['down', 'host unreachable', 2])
})

test('in use is what is up, overloaded or suspect', () => {
  assert.deepEqual(
    STATES.filter((state) => isUsable({ state })),
    ['up', 'suspect', 'overloaded'],
  )
})
