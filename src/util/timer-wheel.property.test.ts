import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Timer, TimerWheel } from './timer-wheel.ts'

const TICK_MS = 16
const TURN_MS = TICK_MS * 4096
const TIMERS = 8

const delay = fc.oneof(
  fc.double({ min: -100, max: 200, noNaN: true }),
  fc.nat(2000),
  fc.nat(3 * TURN_MS),
  fc.constantFrom(0, 1, TICK_MS, TURN_MS - TICK_MS, TURN_MS, TURN_MS + TICK_MS),
)
const jump = fc.oneof(fc.double({ min: 0, max: 40, noNaN: true }), fc.nat(2000), fc.nat(3 * TURN_MS))
const which = fc.nat(TIMERS - 1)
const step = fc.oneof(
  fc.record({ op: fc.constant('arm' as const), which, delay, rearm: fc.option(delay) }),
  fc.record({ op: fc.constantFrom('disarm' as const, 'suspend' as const), which }),
  fc.record({ op: fc.constant('advance' as const), jump }),
  fc.record({ op: fc.constant('sleep' as const), most: fc.oneof(fc.nat(2000), fc.nat(2 * TURN_MS)) }),
)
const start = fc.oneof(fc.constant(0), fc.double({ min: 0, max: 1e9, noNaN: true }))

/** The wheel, and what it should know: the deadline of each armed timer. */
class Model {
  readonly wheel: TimerWheel
  readonly deadlines = new Map<number, number>()
  readonly #rearm = new Map<number, number>()
  readonly #timers: Timer[]
  #now: number
  #advancing = false

  constructor(now: number) {
    this.#now = now
    this.wheel = new TimerWheel(now)
    this.#timers = Array.from({ length: TIMERS }, (_, index) => new Timer(() => this.#fired(index)))
  }

  arm(index: number, delay: number, rearm: number | null): void {
    this.wheel.arm(this.#timers[index] as Timer, this.#now + delay)
    this.deadlines.set(index, this.#now + delay)
    if (rearm === null) this.#rearm.delete(index)
    else this.#rearm.set(index, rearm)
  }

  disarm(index: number, how: 'disarm' | 'suspend'): void {
    this.wheel[how](this.#timers[index] as Timer)
    this.deadlines.delete(index)
  }

  advance(jump: number): void {
    const before = this.#now
    this.#now += jump
    const armedAgain = new Set(this.#rearm.keys())
    this.#advancing = true
    this.wheel.advance(this.#now)
    this.#advancing = false
    for (const [index, deadline] of this.deadlines) {
      // What was armed by a timer that fired now may wait for the next tick; so may a deadline that was past when armed.
      const since = armedAgain.has(index) && !this.#rearm.has(index) ? this.#now : before
      assert.ok(Math.max(deadline, since) + TICK_MS > this.#now, `${deadline} is overdue at ${this.#now}`)
    }
    assert.equal(this.wheel.armed, this.deadlines.size)
  }

  sleep(most: number): void {
    const sleep = this.wheel.sleepMs(this.#now, most)
    assert.ok(sleep >= 0 && sleep <= most)
    const earliest = Math.min(...this.deadlines.values())
    assert.ok(this.#now + sleep <= Math.max(earliest, this.#now) + TICK_MS + 1)
    // Zero only if waking up now helps.
    if (sleep === 0 && most > 0) {
      const occupied = this.wheel.armed
      assert.ok(occupied > 0)
      this.advance(0)
      assert.ok(this.wheel.sleepMs(this.#now, most) > 0)
    }
  }

  #fired(index: number): void {
    assert.ok(this.#advancing)
    const deadline = this.deadlines.get(index)
    assert.ok(deadline !== undefined, 'it fires once, and not after it was disarmed')
    assert.ok(deadline <= this.#now, `${deadline} fires at ${this.#now}`)
    this.deadlines.delete(index)
    const rearm = this.#rearm.get(index)
    if (rearm !== undefined) this.arm(index, rearm, null)
  }
}

test('every timer fires once, never early, and at the latest one tick late', () => {
  fc.assert(
    fc.property(start, fc.array(step, { maxLength: 60 }), (now, steps) => {
      const model = new Model(now)
      for (const one of steps) {
        if (one.op === 'arm') model.arm(one.which, one.delay, one.rearm)
        else if (one.op === 'advance') model.advance(one.jump)
        else if (one.op === 'sleep') model.sleep(one.most)
        else model.disarm(one.which, one.op)
      }
      while (model.deadlines.size > 0) model.advance(Math.max(TICK_MS, ...model.deadlines.values()))
      assert.equal(model.wheel.armed, 0)
    }),
    { numRuns: 200 },
  )
})

test('a loop that sleeps as it is told serves every deadline in time, with few wake-ups', () => {
  const deadlines = fc.array(fc.double({ min: 0, max: 5000, noNaN: true }), { minLength: 1, maxLength: 10 })
  fc.assert(
    fc.property(start, deadlines, (from, all) => {
      const wheel = new TimerWheel(from)
      let now = from
      let fired = 0
      for (const one of all) {
        wheel.arm(
          new Timer(() => {
            fired++
            assert.ok(now - (from + one) <= 2 * TICK_MS + 1)
          }),
          from + one,
        )
      }
      let turns = 0
      for (; fired < all.length; turns++) {
        now += wheel.sleepMs(now, 1000)
        wheel.advance(now)
        assert.ok(turns < 30)
      }
    }),
    { numRuns: 200 },
  )
})
