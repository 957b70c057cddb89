import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Health, type HealthEvent, healthAfter, OVERLOADED_AFTER_MS, unknownHealth } from './health-state.ts'

const event: fc.Arbitrary<HealthEvent> = fc.oneof(
  fc.record({
    kind: fc.constant('answered' as const),
    reason: fc.constant('accepts connections'),
    strain: fc.constantFrom(null, 'slow'),
    proofs: fc.constant(3),
  }),
  fc.record({
    kind: fc.constantFrom('failed' as const, 'overdue' as const, 'starting' as const),
    reason: fc.constant(''),
  }),
)

/** Events 50 ms apart, as fast as a replica is ever probed, drawn anew from a few patterns so that streaks happen. */
const minute = fc
  .array(fc.tuple(event, fc.integer({ min: 1, max: 60 })), { minLength: 1, maxLength: 200 })
  .map((runs) => runs.flatMap(([each, times]) => Array<HealthEvent>(times).fill(each)).slice(0, 1200))

function story(events: readonly HealthEvent[]): readonly Health[] {
  let health = unknownHealth(0)
  return events.map((each, index) => {
    health = healthAfter(health, each, (index + 1) * 50)
    return health
  })
}

test('whatever happens, a replica does not come and go: each return within half a minute takes twice as long', () => {
  fc.assert(
    fc.property(minute, (events) => {
      const states = story(events).map(({ state }) => state)
      const isIn = (state: string | undefined): boolean => state === 'up' || state === 'overloaded'
      let returns = 0
      for (let index = 1; index < states.length; index++) {
        if (isIn(states[index]) && !isIn(states[index - 1])) returns++
      }
      // 3 + 6 + 12 + 24 + 48 answers, then 96 each: with nothing in between 1200 events have room for so many.
      assert.ok(returns <= 18, `${returns} returns`)
    }),
  )
})

test('overloaded is entered and left at most once in two seconds', () => {
  fc.assert(
    fc.property(minute, (events) => {
      const healths = story(events)
      let last = Number.NEGATIVE_INFINITY
      for (const [index, health] of healths.entries()) {
        const before = healths[index - 1]
        if (health.state !== 'overloaded' || before?.state === 'overloaded') continue
        const now = (index + 1) * 50
        assert.ok(now - last > OVERLOADED_AFTER_MS)
        last = now
      }
    }),
  )
})

test('answers without strain bring every shard up in the end, and failures down at once', () => {
  fc.assert(
    fc.property(minute, (events) => {
      const calm: HealthEvent = { kind: 'answered', reason: '', strain: null, proofs: 3 }
      const healths = story([...events, ...Array<HealthEvent>(110).fill(calm)])
      assert.equal(healths.at(-1)?.state, 'up')
      assert.equal(healthAfter(healths.at(-1) as Health, { kind: 'failed', reason: '' }, 1e6).state, 'down')
    }),
  )
})

test('since is when the state began, and the state is never one without a reason', () => {
  fc.assert(
    fc.property(minute, (events) => {
      let since = 0
      let state = 'unknown'
      for (const [index, health] of story(events).entries()) {
        if (health.state !== state) since = (index + 1) * 50
        state = health.state
        assert.equal(health.since, since)
      }
    }),
  )
})
