import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TimerWheel } from '../util/timer-wheel.ts'
import { RunAhead } from './run-ahead.ts'

/** With a clock, and a use of the processor, that the test sets. */
function open(isAllowed = true) {
  const state = { now: 1000, cpuMs: 500 }
  const asked: boolean[] = []
  const told: string[] = []
  const timers = new TimerWheel(state.now)
  const ahead = new RunAhead({
    timers,
    get now() {
      return state.now
    },
    get cpuMs() {
      return state.cpuMs
    },
    setAhead: (isAhead) => {
      asked.push(isAhead)
      return isAllowed
    },
    log: (_, message) => told.push(message),
  })
  /** Uses so much of one processor for so long. */
  const pass = (ms: number, share = 0): void => {
    for (let left = ms; left > 0; left -= 16) {
      state.now += 16
      state.cpuMs += 16 * share
      timers.advance(state.now)
    }
  }
  return { ahead, asked, told, pass }
}

test('the plane runs ahead while somebody is held back, and for a second after that', () => {
  const { ahead, asked, pass } = open()
  pass(500)
  assert.deepEqual(asked, [])
  ahead.held()
  pass(900, 0.1)
  ahead.held()
  pass(900, 0.1)
  assert.deepEqual(asked, [true])
  pass(400, 0.1)
  assert.deepEqual(asked, [true, false])
  ahead.held()
  assert.deepEqual(asked, [true, false, true])
})

test('one that keeps a processor busy waits its turn until it is not any more', () => {
  const { ahead, asked, pass } = open()
  const work = (ms: number, share: number): void => {
    for (let left = ms; left > 0; left -= 100) {
      ahead.held()
      pass(100, share)
    }
  }
  ahead.held()
  work(500, 0.5)
  assert.deepEqual(asked, [true])
  work(500, 0.9)
  assert.deepEqual(asked, [true, false])
  work(500, 0.5)
  assert.deepEqual(asked, [true, false], 'half a processor is not little')
  work(500, 0.1)
  assert.deepEqual(asked, [true, false, true])
})

test('where it may not, that is said once', () => {
  const { ahead, asked, told, pass } = open(false)
  for (let times = 0; times < 3; times++) {
    ahead.held()
    pass(2000)
  }
  assert.deepEqual([asked, told.length], [[true], 1])
})
