import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NiceOutcome } from '../io/cpu-share.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import { TimerWheel } from '../util/timer-wheel.ts'
import { CpuShares } from './cpu-shares.ts'

const [MEDIUM, LOW, BACKGROUND] = [1, 2, 3]
const NICE: Readonly<Record<number, number>> = { [LOW]: 10, [BACKGROUND]: 19 }

/** What it asks of the kernel, with a clock, reads and locks that the test sets. */
function open(isRationed = false) {
  const state = {
    now: 1000,
    outcome: 'done' as NiceOutcome,
    isOurs: true,
    readingMs: 100,
    isAwaited: false,
    hasWorkers: true,
    workers: [71, 72],
    held: 0,
  }
  const asked: string[] = []
  const told: string[] = []
  const niceness = new Map<ServerConnection, number>()
  const timers = new TimerWheel(state.now)
  const shares = new CpuShares(
    {
      timers,
      get now() {
        return state.now
      },
      niceOf: (tier) => NICE[tier] ?? 0,
      hasWorkers: () => state.hasWorkers,
      readingMs: () => state.readingMs,
      isAwaited: (shard, nice) => state.isAwaited && shard === 1 && nice > 0,
      nicenessOf: (server) => niceness.get(server) ?? 0,
      noteNiceness: (server, nice) => niceness.set(server, nice),
      held: () => state.held++,
      log: (level, message) => told.push(`${level}: ${message}`),
    },
    {
      means: () => ({ kind: 'autogroup', isRationed }),
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
  return { shares, state, asked, told, niceness, server, pass }
}

test('who works for a low tier has less from the start, and somebody of another tier gives it back', () => {
  const { shares, state, asked, told, server, pass } = open()
  const [low, medium] = [server(7, LOW), server(8, MEDIUM)]
  shares.given(low, LOW, false)
  shares.given(medium, MEDIUM, false)
  assert.deepEqual([asked, state.held], [['7 10'], 1])
  pass(70)
  shares.takenBack(low)
  shares.takenBack(medium)
  shares.given(low, LOW, false)
  shares.takenBack(low)
  pass(500)
  assert.deepEqual(asked, ['7 10'], 'it goes to the same tier again, for nothing')
  shares.given(low, BACKGROUND, false)
  shares.takenBack(low)
  shares.given(low, MEDIUM, false)
  assert.deepEqual(asked, ['7 10', '7 19', '7 0'])
  assert.match(told.join(), /^info: backends of low tiers on db1 have a smaller share of the CPU, by the niceness of/)
})

test('a server connection suits the tier whose share it has', () => {
  const { shares, server } = open()
  const low = server(7, LOW)
  assert.equal(shares.suits(low, LOW), true, 'before it is known what the kernel can do')
  shares.given(low, LOW, false)
  assert.deepEqual(
    [MEDIUM, LOW, BACKGROUND].map((tier) => shares.suits(low, tier)),
    [false, true, false],
  )
})

test('one that may have locked something has its share as long as somebody may wait for that', () => {
  const { shares, state, asked, server, pass } = open()
  const low = server(7, LOW)
  state.readingMs = -1
  shares.given(low, LOW, false)
  pass(70)
  state.isAwaited = true
  pass(70)
  pass(70)
  assert.deepEqual(asked, ['7 10', '7 0'])
  state.isAwaited = false
  pass(70)
  assert.deepEqual(asked, ['7 10', '7 0', '7 10'])
})

test('nobody waits for one that certainly reads', () => {
  const { shares, state, asked, server, pass } = open()
  state.isAwaited = true
  shares.given(server(7, LOW), LOW, false)
  pass(70)
  assert.deepEqual(asked, ['7 10'])
})

test('parallel workers have less too, where there may be any', () => {
  for (const hasWorkers of [true, false]) {
    const { shares, state, asked, server, pass } = open()
    state.hasWorkers = hasWorkers
    state.readingMs = 16
    shares.given(server(70, LOW), LOW, false)
    pass(70)
    assert.deepEqual(asked, hasWorkers ? ['70 10', '71 10', '72 10'] : ['70 10'])
  }
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

test('where the kernel rations changes it is long reads only, and until they are over', () => {
  const { shares, state, asked, told, server, pass } = open(true)
  state.readingMs = 49
  const [low, medium] = [server(7, LOW), server(8, MEDIUM)]
  shares.given(low, LOW, false)
  pass(70)
  assert.deepEqual(asked, [])
  state.readingMs = 50
  pass(70)
  assert.deepEqual(asked, ['7 10'])
  assert.equal(shares.suits(medium, LOW), true, 'they are all alike')
  state.readingMs = -1
  pass(70)
  assert.deepEqual(asked, ['7 10', '7 0'], 'it turned out to do more')
  state.readingMs = 60
  pass(70)
  shares.takenBack(low)
  assert.deepEqual(asked, ['7 10', '7 0', '7 10', '7 0'])
  assert.match(told.join(), /^info: long reads of low tiers on db1 have/)
})

test('a process that is not seen to be the server’s is left alone', () => {
  const { shares, state, asked, server, pass } = open()
  state.isOurs = false
  const low = server(7, LOW)
  shares.given(low, LOW, false)
  pass(200)
  shares.takenBack(low)
  shares.given(low, MEDIUM, false)
  assert.deepEqual([asked, state.held], [[], 0])
})

test('what another process of the router has lowered, or was about to, is lowered and given back by this one', () => {
  const { shares, asked, niceness, server } = open()
  const [low, idle] = [server(7, LOW), server(8, MEDIUM)]
  niceness.set(low, 10)
  niceness.set(idle, 10)
  shares.given(low, LOW, true)
  shares.given(idle, MEDIUM, false)
  assert.deepEqual(asked, ['7 10', '8 0'])
})

test('what the kernel does not let be given back now is given back as soon as it does', () => {
  const { shares, state, asked, niceness, server, pass } = open(true)
  const low = server(7, LOW)
  shares.given(low, LOW, false)
  pass(70)
  state.outcome = 'later'
  shares.takenBack(low)
  pass(70)
  assert.equal(niceness.get(low), 0, 'it is owed to the process, whoever has the connection')
  state.outcome = 'done'
  pass(70)
  pass(300)
  assert.deepEqual(asked, ['7 10', '7 0', '7 0', '7 0'])
  shares.given(low, LOW, false)
  pass(70)
  assert.deepEqual(asked.slice(4), ['7 10'], 'the next long read has less again')
})

test('when the kernel refuses, that is said once, and it is not tried again', () => {
  const { shares, state, asked, told, niceness, server, pass } = open()
  state.outcome = 'refused'
  const servers = [server(7, LOW), server(9, LOW)]
  for (const each of servers) shares.given(each, LOW, false)
  pass(200)
  pass(200)
  assert.equal(asked.length, 1)
  assert.equal(told.filter((line) => line.startsWith('warn')).length, 1)
  assert.deepEqual([niceness.get(servers[0] as ServerConnection), state.held], [0, 0])
})
