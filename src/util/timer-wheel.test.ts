import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Timer, TimerWheel } from './timer-wheel.ts'

const TURN_MS = 16 * 4096

function wheelWithLog(nowMs = 0): { wheel: TimerWheel; log: string[]; timer: (name: string) => Timer } {
  const log: string[] = []
  return { wheel: new TimerWheel(nowMs), log, timer: (name) => new Timer(() => log.push(name)) }
}

test('a timer fires once, not before its deadline', () => {
  const { wheel, log, timer } = wheelWithLog()
  const one = timer('one')
  wheel.arm(one, 100)
  assert.equal(one.armed, true)
  assert.equal(wheel.armed, 1)
  wheel.advance(99)
  assert.deepEqual(log, [])
  wheel.advance(116)
  assert.deepEqual(log, ['one'])
  assert.equal(one.armed, false)
  assert.equal(wheel.armed, 0)
  wheel.advance(10 * TURN_MS)
  assert.deepEqual(log, ['one'])
})

test('a deadline in the past fires at the next tick, not a turn of the wheel later', () => {
  const { wheel, log, timer } = wheelWithLog(1_000_000)
  for (const deadline of [-5, 0, 1, 999_990, 1_000_000]) wheel.arm(timer(String(deadline)), deadline)
  wheel.advance(1_000_016)
  assert.deepEqual(log.sort(), ['-5', '0', '1', '1000000', '999990'])
})

test('a timer that is armed again has only its new deadline', () => {
  const { wheel, log, timer } = wheelWithLog()
  const one = timer('one')
  wheel.arm(one, 50)
  wheel.arm(one, 500)
  assert.equal(wheel.armed, 1)
  wheel.advance(400)
  assert.deepEqual(log, [])
  wheel.advance(516)
  assert.deepEqual(log, ['one'])
})

test('a disarmed timer never fires, and may be disarmed twice', () => {
  const { wheel, log, timer } = wheelWithLog()
  const [one, two, three] = [timer('one'), timer('two'), timer('three')]
  for (const each of [one, two, three]) wheel.arm(each, 50)
  wheel.disarm(two)
  wheel.disarm(two)
  assert.equal(wheel.armed, 2)
  wheel.advance(100)
  assert.deepEqual(log.sort(), ['one', 'three'])
})

test('a deadline of many turns waits for the right one', () => {
  const { wheel, log, timer } = wheelWithLog()
  wheel.arm(timer('far'), 3 * TURN_MS + 40)
  wheel.arm(timer('near'), 40)
  for (let now = 1000; now < 3 * TURN_MS; now += 1000) wheel.advance(now)
  assert.deepEqual(log, ['near'])
  wheel.advance(3 * TURN_MS + 64)
  assert.deepEqual(log, ['near', 'far'])
})

test('after a sleep of many turns everything that is due fires at once', () => {
  const { wheel, log, timer } = wheelWithLog()
  const deadlines = [17, 5000, TURN_MS - 1, TURN_MS, TURN_MS + 1, 2 * TURN_MS + 7, 20 * TURN_MS]
  for (const deadline of deadlines) wheel.arm(timer(String(deadline)), deadline)
  wheel.advance(10 * TURN_MS)
  assert.equal(log.length, deadlines.length - 1)
  assert.equal(wheel.armed, 1)
})

test('a timer may arm itself again when it fires, and is not fired for ever within one advance', () => {
  const wheel = new TimerWheel(0)
  const fired: number[] = []
  const every = new Timer(() => {
    fired.push(fired.length)
    wheel.arm(every, fired.length * 1000 + 1000)
  })
  wheel.arm(every, 1000)
  for (let now = 1; now <= 10_500; now += 7) wheel.advance(now)
  assert.equal(fired.length, 10)
  const again = new Timer(() => {
    fired.push(-1)
    wheel.arm(again, 0)
  })
  wheel.arm(again, 0)
  wheel.advance(10_532)
  assert.ok(fired.filter((one) => one === -1).length <= 3)
})

test('a firing timer may disarm or put off another that is due at the same time', () => {
  const { wheel, log, timer } = wheelWithLog()
  const [victim, delayed] = [timer('victim'), timer('delayed')]
  const killer = new Timer(() => {
    wheel.disarm(victim)
    wheel.arm(delayed, 5000)
    log.push('killer')
  })
  // Whatever the order within a bucket: the killer is both the first and the last that was armed.
  for (const first of [true, false]) {
    log.length = 0
    const deadline = first ? 100 : 6000
    if (first) wheel.arm(killer, deadline)
    wheel.arm(victim, deadline)
    wheel.arm(delayed, deadline)
    if (!first) wheel.arm(killer, deadline)
    wheel.advance(deadline + 16)
    assert.ok(log.includes('killer'))
    assert.equal(victim.armed, false)
    if (!log.includes('delayed')) assert.equal(delayed.armed, true)
    wheel.advance(deadline + 32)
  }
  wheel.advance(50_000)
  assert.equal(wheel.armed, 0)
})

test('a timer that throws delays none of the others', () => {
  const { wheel, log, timer } = wheelWithLog()
  const bad = new Timer(() => {
    throw new Error('out of order')
  })
  wheel.arm(timer('before'), 100)
  wheel.arm(bad, 100)
  wheel.arm(timer('after'), 100)
  wheel.arm(timer('later'), 150)
  assert.throws(() => wheel.advance(200), /out of order/)
  assert.equal(bad.armed, false)
  assert.equal(wheel.sleepMs(200, 1000), 0)
  wheel.advance(200)
  assert.deepEqual(log.sort(), ['after', 'before', 'later'])
  assert.equal(wheel.armed, 0)
})

test('a poll sleeps as long as it may when nothing is armed, and to the first deadline otherwise', () => {
  const { wheel, timer } = wheelWithLog()
  assert.equal(wheel.sleepMs(0, 1000), 1000)
  assert.equal(wheel.sleepMs(0, 0), 0)
  const one = timer('one')
  wheel.arm(one, 100)
  assert.equal(wheel.sleepMs(0, 1000), 112)
  assert.equal(wheel.sleepMs(10.5, 1000), 102)
  assert.equal(wheel.sleepMs(0, 50), 50)
  assert.equal(wheel.sleepMs(500, 1000), 0)
  wheel.disarm(one)
  assert.equal(wheel.sleepMs(0, 1000), 1000)
})

test('a poll sleeps whole milliseconds, rounded up, so that it does not wake for nothing', () => {
  const { wheel, timer } = wheelWithLog()
  assert.equal(wheel.sleepMs(0, 0.3), 1)
  assert.equal(wheel.sleepMs(0, 999.2), 1000)
  wheel.arm(timer('one'), 10_000)
  assert.equal(wheel.sleepMs(0, 0.3), 1)
  assert.equal(wheel.sleepMs(9.7, 999.2), 1000)
})

test('the wheel holds a suspended timer until it gets there, and a disarmed one no longer', () => {
  const { wheel, log, timer } = wheelWithLog()
  const [one, two, other] = [timer('one'), timer('two'), timer('other')]
  wheel.arm(one, 100)
  wheel.arm(two, 100)
  wheel.arm(other, 10_000)
  wheel.suspend(one)
  wheel.disarm(two)
  assert.deepEqual([one.armed, one.lookAt >= 0, two.lookAt], [false, true, -1])
  wheel.arm(one, 200)
  assert.equal(wheel.armed, 2)
  wheel.advance(150)
  assert.deepEqual(log, [])
  wheel.advance(216)
  assert.deepEqual([log, one.lookAt], [['one'], -1])
  wheel.suspend(other)
  wheel.disarm(other)
  assert.deepEqual([wheel.armed, other.lookAt], [0, -1])
})
