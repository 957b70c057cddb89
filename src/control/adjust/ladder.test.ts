import assert from 'node:assert/strict'
import { test } from 'node:test'
import { adjustmentOf } from './adjustment-of.ts'
import { climb, GROUND, type Ladder, type LadderSettings, wantsCancel } from './ladder.ts'
import { OBJECTIVES, SLOTS, TIER_POLICIES } from './load-simulation.fixture.ts'
import { type Pressure, pressureOn, type TierSight } from './pressure.ts'

const SETTINGS: LadderSettings = { patienceMs: 1000, calmMs: 5000, cancels: false }
const pressed: Pressure = { kind: 'pressed', tier: 0, reason: 'tier high waits' }
const calm: Pressure = { kind: 'calm' }
const idle: TierSight = { held: 0, waiting: 0, admitted: 0, waitMs: 0 }

/** The steps that are taken while looks, a second apart, find this. */
function story(from: Ladder, looks: readonly Pressure[], settings = SETTINGS): { ladder: Ladder; steps: string[] } {
  let ladder = from
  const steps: string[] = []
  const begin = Math.max(0, from.changedAt)
  for (const [index, pressure] of looks.entries()) {
    const after = climb(ladder, pressure, settings, begin + (index + 1) * 1000)
    if (after.step !== ladder.step) steps.push(after.step)
    ladder = after
  }
  return { ladder, steps }
}

const times = (count: number, pressure: Pressure) => Array<Pressure>(count).fill(pressure)

test('pressure that lasts takes one step after the other, cancelling only where that is allowed', () => {
  assert.deepEqual(story(GROUND, times(9, pressed)).steps, ['lend-less', 'shrink', 'queue', 'ask'])
  const all = story(GROUND, times(9, pressed), { ...SETTINGS, cancels: true })
  assert.deepEqual(all.steps, ['lend-less', 'shrink', 'queue', 'cancel', 'ask'])
  assert.deepEqual(story(GROUND, [pressed, { kind: 'near' }, pressed, calm, pressed]).steps, [])
})

test('an overloaded server alone halves lower tiers at most', () => {
  const strained: Pressure = { kind: 'strained', tier: 0, reason: 'slow' }
  const { steps, ladder } = story(GROUND, times(20, strained))
  assert.deepEqual(steps, ['lend-less', 'shrink'])
  assert.deepEqual(story(ladder, times(3, pressed)).steps, ['queue', 'ask'])
})

test('whoever has nobody to take from asks for a shard at once', () => {
  assert.deepEqual(story(GROUND, times(2, { ...pressed, kind: 'bare' })).steps, ['ask'])
})

test('there is an appeal as long as it is not enough that there is no step left', () => {
  const last = story(GROUND, times(9, pressed)).ladder
  assert.deepEqual(last.appeal, { tier: 0, reason: 'tier high waits', isAlone: false })
  assert.equal(story(GROUND, times(4, pressed)).ladder.appeal, null)
  assert.equal(story(last, [{ kind: 'near' }]).ladder.appeal, null)
  assert.equal(story(last, [calm]).ladder.appeal, null)
  assert.equal(story(GROUND, times(2, { ...pressed, kind: 'bare' })).ladder.appeal?.isAlone, true)
  // Lower tiers are not made to stand still for a server that is too busy, so half of their slots is all there is.
  const strained: Pressure = { kind: 'strained', tier: 0, reason: 'slow' }
  assert.equal(story(GROUND, times(3, strained)).ladder.appeal, null)
  assert.equal(story(GROUND, times(4, strained)).ladder.appeal?.reason, 'slow')
})

test('calm gives back step by step, and longer calm is needed after a step that was given back too early', () => {
  const bottom = story(GROUND, times(9, pressed)).ladder
  const { steps, ladder } = story(bottom, times(16, calm))
  assert.deepEqual([steps, ladder.protects], [['shrink', 'lend-less', 'none'], -1])
  const given = story(bottom, times(6, calm)).ladder
  assert.equal(given.step, 'shrink')
  const relapsed = story(given, times(2, pressed)).ladder
  assert.deepEqual([relapsed.step, relapsed.caution], ['queue', 2])
  assert.deepEqual(story(relapsed, times(10, calm)).steps, [])
  assert.deepEqual(story(relapsed, times(11, calm)).steps, ['shrink'])
})

test('the longest read is cancelled only while there is pressure on the last steps, ten seconds apart', () => {
  const settings = { ...SETTINGS, cancels: true }
  const at = { ...GROUND, step: 'cancel' as const, pressedSince: 0 }
  assert.equal(wantsCancel(at, settings, 1000), true)
  assert.equal(wantsCancel({ ...at, cancelledAt: 0 }, settings, 9999), false)
  assert.equal(wantsCancel({ ...at, cancelledAt: 0 }, settings, 10_000), true)
  assert.equal(wantsCancel({ ...at, pressedSince: null }, settings, 1000), false)
  assert.equal(wantsCancel({ ...at, step: 'queue' }, settings, 1000), false)
  assert.equal(wantsCancel(at, SETTINGS, 1000), false)
})

test('each step takes from tiers below the protected one, and what is promised something is only halved', () => {
  const most = (step: Ladder['step'], protects = 0) =>
    adjustmentOf({ ...GROUND, step, protects }, TIER_POLICIES, SLOTS, OBJECTIVES)?.most
  assert.equal(most('none'), undefined)
  assert.deepEqual(most('lend-less'), [null, null, null, null])
  assert.deepEqual(most('shrink'), [null, null, 4, 2])
  assert.deepEqual(most('queue'), [null, 8, 1, 1])
  assert.deepEqual(most('ask', 1), [null, null, 1, 1])
  const adjustment = adjustmentOf({ ...GROUND, step: 'queue', protects: 1 }, TIER_POLICIES, SLOTS, OBJECTIVES)
  assert.deepEqual(adjustment?.keepsReserved, [true, true, false, false])
})

test('pressure is a missed objective, or an overloaded shard, of the highest tier that it concerns', () => {
  const on = (high: Partial<TierSight>, low: Partial<TierSight>, overload: string | null = null, protects = -1) =>
    pressureOn({ tiers: [{ ...idle, ...high }, idle, { ...idle, ...low }, idle], overload }, OBJECTIVES, protects)
  assert.deepEqual(on({}, {}), { kind: 'calm' })
  assert.deepEqual(on({ waitMs: 2.5 }, { held: 1 }), { kind: 'calm' })
  assert.deepEqual(on({ waitMs: 3 }, { held: 1 }), { kind: 'near' })
  const reason = 'tier high waits 12 ms for its turn, and may wait 5 ms'
  assert.deepEqual(on({ waitMs: 12 }, { admitted: 1 }), { kind: 'pressed', tier: 0, reason })
  assert.deepEqual(on({ waitMs: 12 }, {}), { kind: 'bare', tier: 0, reason })
  // What is promised nothing may wait, and what is overloaded by whom it may concern is nobody's business.
  assert.deepEqual(on({}, { waitMs: 9000, waiting: 7 }), { kind: 'calm' })
  assert.deepEqual(on({}, { held: 9 }, 'slow'), { kind: 'calm' })
  assert.equal(on({ held: 1 }, { held: 9 }, 'slow').kind, 'strained')
  assert.equal(on({ held: 1, waitMs: 9 }, { held: 9 }, 'slow').kind, 'pressed')
  assert.equal(on({ held: 1 }, {}, 'slow').kind, 'calm')
})

test('what tiers below the protected one miss is what was wanted', () => {
  const tiers = [idle, { ...idle, waitMs: 900, waiting: 3 }, { ...idle, held: 1 }, idle]
  assert.equal(pressureOn({ tiers, overload: null }, OBJECTIVES, -1).kind, 'pressed')
  assert.equal(pressureOn({ tiers, overload: null }, OBJECTIVES, 0).kind, 'calm')
  assert.equal(pressureOn({ tiers, overload: null }, OBJECTIVES, 1).kind, 'pressed')
})
