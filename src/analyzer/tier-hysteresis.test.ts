import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { PROFILE, PROFILE_F64 } from '../memory/profile-records.ts'
import { openTestMemory } from './analyzer.fixture.ts'
import { NO_TIER } from './tier-decision.ts'
import { TierHysteresis } from './tier-hysteresis.ts'

const THRESHOLDS = [0.6, 0.6, 0.6, 0.6]

/** A connection that is evaluated every `apart` milliseconds; `say` gives the probabilities, the answer is the tier. */
function open(queries = 100, apart = 300) {
  const { profiles } = openTestMemory()
  const hysteresis = new TierHysteresis(profiles)
  let now = 1000
  let count = queries
  const say = (...probabilities: number[]): number => {
    now += apart
    profiles.i32[PROFILE.queries] = count++
    const tier = hysteresis.step(0, Float64Array.from(probabilities), THRESHOLDS, now)
    profiles.i32[PROFILE.evaluations]! += 1
    profiles.i32[PROFILE.evaluatedAtQuery] = count - 1
    profiles.f64[PROFILE_F64.evaluatedAt] = now
    return tier
  }
  const wait = (milliseconds: number): void => {
    now += milliseconds
  }
  return { say, wait }
}

describe('the tier that the model settles on', () => {
  it('is none until one is likely enough, and that one at once', () => {
    const { say } = open()
    assert.equal(say(0.5, 0.5, 0, 0), NO_TIER)
    const other = open()
    assert.equal(other.say(0, 0.1, 0.9, 0), 2)
  })

  it('survives a single evaluation that says otherwise', () => {
    const { say, wait } = open()
    say(0.95, 0.02, 0.02, 0.01)
    wait(20_000)
    assert.equal(say(0.01, 0.02, 0.02, 0.95), 0)
    assert.equal(say(0.95, 0.02, 0.02, 0.01), 0)
  })

  it('is kept for ten seconds', () => {
    const { say, wait } = open(100, 400)
    say(0.95, 0.02, 0.02, 0.01)
    for (let n = 0; n < 20; n++) assert.equal(say(0.01, 0.01, 0.01, 0.97), 0, `after ${n} evaluations`)
    wait(3_000)
    assert.notEqual(say(0.01, 0.01, 0.01, 0.97), 0)
  })

  it('rises after three evaluations and falls after five', () => {
    const steps = (from: number[], to: number[]): number => {
      const { say, wait } = open(100, 4_000)
      const before = say(...from)
      wait(20_000)
      for (let n = 1; n < 50; n++) if (say(...to) !== before) return n
      return -1
    }
    assert.equal(steps([0.03, 0.03, 0.9, 0.04], [0.97, 0.01, 0.01, 0.01]), 3)
    assert.equal(steps([0.9, 0.03, 0.03, 0.04], [0.01, 0.01, 0.97, 0.01]), 5)
  })

  it('moves one step at a time, unless it is very sure', () => {
    const last = (to: number[]): number => {
      const { say, wait } = open(100, 2_000)
      const before = say(0.95, 0.02, 0.02, 0.01)
      wait(20_000)
      for (let n = 0; n < 50; n++) {
        const tier = say(...to)
        if (tier !== before) return tier
      }
      return -1
    }
    assert.equal(last([0.05, 0.1, 0.05, 0.8]), 1)
    assert.equal(last([0.001, 0.001, 0.001, 0.997]), 3)
  })

  it('of a new connection may be wrong once, without waiting', () => {
    const { say } = open(1, 50)
    assert.equal(say(0.95, 0.02, 0.02, 0.01), 0)
    let tier = 0
    for (let n = 0; n < 8 && tier === 0; n++) tier = say(0.001, 0.001, 0.001, 0.997)
    assert.equal(tier, 3)
    for (let n = 0; n < 6; n++) assert.equal(say(0.97, 0.01, 0.01, 0.01), 3)
  })
})
