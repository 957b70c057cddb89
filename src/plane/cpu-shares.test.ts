import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NiceOutcome } from '../io/cpu-share.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import { TimerWheel } from '../util/timer-wheel.ts'
import { CpuShares } from './cpu-shares.ts'

const [MEDIUM, LOW] = [1, 2]

/** What it asks of the kernel, with a clock and reads that the test sets. */
function open() {
  const state = {
    now: 1000,
    outcome: 'done' as NiceOutcome,
    isOurs: true,
    readingMs: 100,
    isRationed: false,
    workers: [71, 72],
  }
  const asked: string[] = []
  const told: string[] = []
  const timers = new TimerWheel(state.now)
  const shares = new CpuShares(
    {
      timers,
      get now() {
        return state.now
      },
      niceOf: (tier) => (tier === LOW ? 10 : 0),
      readingMs: () => state.readingMs,
      log: (level, message) => told.push(`${level}: ${message}`),
    },
    {
      means: () => ({ kind: 'autogroup', isRationed: state.isRationed }),
      worksIn: () => state.isOurs,
      workersOf: (pid) => (pid === 70 ? state.workers : []),
      setNice: (_, pid, nice) => {
        asked.push(`${pid} ${nice}`)
        return state.outcome
      },
    },
  )
  const server = (backendPid: number, tier: number): ServerConnection =>
    ({
      tier,
      identity: { backendPid },
      target: { shard: { id: 1, name: 'db1', dataDirectory: '/data' } },
    }) as unknown as ServerConnection
  const pass = (ms: number): void => {
    state.now += ms
    timers.advance(state.now)
  }
  return { shares, state, asked, told, server, pass }
}

test('a long read of a low tier gets less until it is over, a short one and those of other tiers do not', () => {
  const { shares, state, asked, told, server, pass } = open()
  const [low, medium] = [server(7, LOW), server(8, MEDIUM)]
  shares.given(low, LOW, false)
  shares.given(medium, MEDIUM, false)
  state.readingMs = 9
  pass(70)
  assert.deepEqual(asked, [])
  state.readingMs = 10
  pass(70)
  pass(70)
  assert.deepEqual(asked, ['7 10'])
  shares.takenBack(low)
  shares.takenBack(medium)
  assert.deepEqual(asked, ['7 10', '7 0'])
  pass(500)
  assert.equal(asked.length, 2)
  assert.match(told.join(), /^info: long reads of low tiers on db1 have a smaller share of the CPU, by the niceness of/)
})

test('parallel workers have less too', () => {
  const { shares, asked, server, pass } = open()
  const low = server(70, LOW)
  shares.given(low, LOW, false)
  pass(70)
  shares.takenBack(low)
  assert.deepEqual(asked, ['70 10', '71 10', '72 10', '70 0'])
})

test('parallel workers that come later have less too, each once', () => {
  const { shares, state, asked, server, pass } = open()
  state.readingMs = 16
  state.workers = []
  shares.given(server(70, LOW), LOW, false)
  pass(32)
  state.workers = [71]
  pass(32)
  state.workers = [71, 72]
  pass(32)
  assert.deepEqual(asked, ['70 10', '71 10', '72 10'])
  state.readingMs = 100
  state.workers = [71, 72, 73]
  pass(70)
  assert.equal(asked.length, 3, 'they are looked for less often by then')
  for (let ms = 0; ms < 300; ms += 16) pass(16)
  assert.deepEqual(asked.slice(3), ['73 10'])
})

test('where the kernel rations changes, reads have to run for longer', () => {
  const { shares, state, asked, server, pass } = open()
  state.isRationed = true
  state.readingMs = 49
  const [first, second] = [server(7, LOW), server(8, LOW)]
  // What the kernel can do is found out with the first.
  shares.given(first, LOW, true)
  shares.takenBack(first)
  shares.given(second, LOW, false)
  pass(70)
  assert.deepEqual(asked, ['7 0'])
  state.readingMs = 50
  pass(70)
  assert.deepEqual(asked, ['7 0', '8 10'])
})

test('what turns out to do more than read, on a connection that its client keeps, has its share again', () => {
  const { shares, state, asked, server, pass } = open()
  shares.given(server(7, LOW), LOW, false)
  pass(70)
  state.readingMs = -1
  pass(70)
  assert.deepEqual(asked, ['7 10', '7 0'])
})

test('a process that is not seen to be the server’s is left alone', () => {
  const { shares, state, asked, server, pass } = open()
  state.isOurs = false
  const low = server(7, LOW)
  shares.given(low, LOW, false)
  pass(200)
  shares.takenBack(low)
  assert.deepEqual(asked, [])
})

test('what another process of the router has lowered is given back', () => {
  const { shares, asked, server } = open()
  const low = server(7, LOW)
  shares.given(low, LOW, true)
  shares.takenBack(low)
  assert.deepEqual(asked, ['7 0'])
})

test('what the kernel does not let be given back now is given back as soon as it does', () => {
  const { shares, state, asked, server, pass } = open()
  const low = server(7, LOW)
  shares.given(low, LOW, false)
  pass(70)
  state.outcome = 'later'
  shares.takenBack(low)
  pass(70)
  state.outcome = 'done'
  pass(70)
  pass(300)
  assert.deepEqual(asked, ['7 10', '7 0', '7 0', '7 0'])
})

test('when the kernel refuses, that is said once, and it is not tried again', () => {
  const { shares, state, asked, told, server, pass } = open()
  state.outcome = 'refused'
  shares.given(server(7, LOW), LOW, false)
  shares.given(server(9, LOW), LOW, false)
  pass(200)
  pass(200)
  assert.equal(asked.length, 1)
  assert.equal(told.filter((line) => line.startsWith('warn')).length, 1)
})
