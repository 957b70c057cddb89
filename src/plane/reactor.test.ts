import assert from 'node:assert/strict'
import { arch } from 'node:os'
import { type TestContext, test } from 'node:test'
import { RawPeer } from '../io/link-host.fixture.ts'
import { native } from '../io/native.ts'
import { Poller, READABLE } from '../io/poller.ts'
import { openSocketPair } from '../io/socket.ts'
import { Timer, TimerWheel } from '../util/timer-wheel.ts'
import { Reactor } from './reactor.ts'

interface Bench {
  readonly poller: Poller
  readonly timers: TimerWheel
  readonly story: string[]
  /** Runs with a clock that goes on by `step` at each wake-up, until `wakeUps` of them are over. */
  run(step: number, wakeUps: number, tickAfter?: number): void
  /** Called at each event of a descriptor that is always readable, so that nothing ever sleeps. */
  onEvent: () => void
  stop: () => void
  afterEvent: () => void
}

function open(t: TestContext): Bench {
  const poller = new Poller(arch())
  const timers = new TimerWheel(0)
  const [mine, theirs] = openSocketPair()
  new RawPeer(theirs).send('x')
  const story: string[] = []
  poller.add(mine, READABLE, { onReady: () => bench.onEvent() })
  t.after(() => {
    mine.close()
    theirs.close()
    native.close(poller.fd)
  })
  const bench: Bench = {
    poller,
    timers,
    story,
    onEvent: () => void story.push('event'),
    stop: () => assert.fail('it does not run'),
    afterEvent: () => {},
    run: (step, wakeUps, tickAfter) => {
      let now = -step
      let left = wakeUps
      const clock = (): number => {
        now += step
        return now
      }
      const reactor = new Reactor(poller, timers, clock, {
        wake: (at) => void story.push(`wake ${at}`),
        afterEvent: () => bench.afterEvent(),
        tick: (at) => void story.push(`tick ${at}`),
        fault: (error) => void story.push(`fault ${error instanceof Error ? error.message : error}`),
        settle: () => {
          story.push('settle')
          if (--left === 0) reactor.stop()
        },
      })
      bench.stop = () => reactor.stop()
      if (tickAfter !== undefined) reactor.putTickOff(tickAfter)
      reactor.run()
    },
  }
  return bench
}

test('a wake-up says the time, serves events, fires timers, and settles, in this order', (t) => {
  const bench = open(t)
  const { timers, story } = bench
  bench.afterEvent = () => void story.push('after')
  timers.arm(new Timer(() => story.push('timer')), 50)
  bench.run(100, 1)
  assert.deepEqual(story, ['wake 0', 'wake 100', 'event', 'after', 'timer', 'tick 100', 'after', 'settle'])
})

test('where others have waited for long, it ticks a moment later for the first time', (t) => {
  const { story, run } = open(t)
  run(400, 6, 1000)
  assert.deepEqual(
    story.filter((line) => line.startsWith('tick')),
    ['tick 1200', 'tick 2400'],
  )
  assert.equal(story[0], 'wake 0')
})

test('it ticks at once and then once a second, late ones are not made up for', (t) => {
  const { story, run } = open(t)
  run(400, 8)
  assert.deepEqual(
    story.filter((line) => line.startsWith('tick')),
    ['tick 400', 'tick 1600', 'tick 2800'],
  )
})

test('a timer that throws is reported, and everything else goes on', (t) => {
  const bench = open(t)
  const { timers, story } = bench
  timers.arm(
    new Timer(() => {
      throw new Error('broken timer')
    }),
    150,
  )
  timers.arm(new Timer(() => story.push('timer')), 151)
  timers.arm(new Timer(() => story.push('later timer')), 350)
  bench.onEvent = () => {}
  bench.run(100, 4)
  assert.deepEqual(
    story.filter((line) => !line.startsWith('wake')),
    ['tick 100', 'settle', 'timer', 'fault broken timer', 'settle', 'settle', 'later timer', 'settle'],
  )
})

test('an event whose owner throws is reported, and timers, tick and the next wake-up go on', (t) => {
  const bench = open(t)
  const { timers, story } = bench
  let events = 0
  bench.onEvent = () => {
    if (events++ === 0) throw new Error('broken owner')
    story.push('event')
  }
  timers.arm(new Timer(() => story.push('timer')), 50)
  bench.run(100, 2)
  assert.deepEqual(
    story.filter((line) => !line.startsWith('wake')),
    ['fault broken owner', 'timer', 'tick 100', 'settle', 'event', 'settle'],
  )
})

test('a wait lasts until the next timer, however quiet the sockets are', () => {
  const poller = new Poller(arch())
  const start = performance.now()
  const timers = new TimerWheel(start)
  let fired = 0
  const reactor = new Reactor(poller, timers, () => performance.now(), {
    wake: () => {},
    afterEvent: () => {},
    tick: () => {},
    settle: () => {},
    fault: assert.fail,
  })
  timers.arm(
    new Timer(() => {
      fired = performance.now()
      reactor.stop()
    }),
    start + 60,
  )
  reactor.run()
  native.close(poller.fd)
  assert.ok(fired - start >= 60, `fired after ${fired - start} ms`)
})

test('a stop while events are served ends it after this wake-up, timers and settling included', (t) => {
  const bench = open(t)
  bench.timers.arm(new Timer(() => bench.story.push('timer')), 1)
  bench.onEvent = () => bench.stop()
  bench.run(100, 10)
  assert.deepEqual(bench.story, ['wake 0', 'wake 100', 'timer', 'tick 100', 'settle'])
})
