import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { pino } from 'pino'
import { type ChildHooks, SupervisedChild } from './supervised-child.ts'

const log = pino({ level: 'silent' })

/** A supervised `sh -c` with one script per life (the last one repeats), and a diary of what it told. */
function supervise(...scripts: readonly string[]) {
  const diary: string[] = []
  const processes: ChildProcess[] = []
  const ended = Promise.withResolvers<void>()
  const hooks: ChildHooks = {
    spawn() {
      const script = scripts[Math.min(processes.length, scripts.length - 1)] ?? ''
      const child = spawn('/bin/sh', ['-c', script], { stdio: 'ignore' })
      processes.push(child)
      return child
    },
    died: ({ description }) => diary.push(description),
    gaveUp: (description) => diary.push(`gave up: ${description}`),
    ended() {
      diary.push('ended')
      ended.resolve()
    },
  }
  const child = new SupervisedChild({ name: 'test', hooks, log, now: () => performance.now() })
  return { child, diary, processes, ended: ended.promise }
}

async function lives(processes: readonly ChildProcess[], count: number): Promise<void> {
  while (processes.length < count) await new Promise((resolve) => setTimeout(resolve, 5))
}

test('a child that dies has a successor, and its death is described', async () => {
  const { child, diary, processes, ended } = supervise('exit 3', 'exec sleep 60')
  child.start()
  await lives(processes, 2)
  assert.deepEqual(diary, ['exited with code 3'])
  child.stop()
  child.kill()
  await ended
  assert.deepEqual(diary, ['exited with code 3', 'was killed by SIGKILL', 'ended'])
  assert.equal(processes.length, 2)
})

test('a child that never comes up is given up after five lives', async () => {
  const { child, diary, processes, ended } = supervise('exit 1')
  child.start()
  await ended
  assert.equal(processes.length, 5)
  assert.deepEqual(diary.slice(-2), ['gave up: exited with code 1', 'ended'])
})

test('one that has made room has a successor at once, and is ended a moment later', async () => {
  const { child, diary, processes, ended } = supervise('exec sleep 60')
  child.start()
  child.ready()
  child.released()
  assert.equal(processes.length, 1, 'nobody has asked it')
  child.release()
  child.released()
  assert.deepEqual([processes.length, child.state, diary], [2, 'starting', ['has made room']])
  const [first] = processes
  assert.equal(first?.killed, false, 'there is no hurry')
  await once(first, 'exit')
  assert.equal(first?.signalCode, 'SIGKILL')
  assert.equal(child.state, 'starting')
  child.stop()
  child.kill()
  await ended
  assert.deepEqual(diary, ['has made room', 'was killed by SIGKILL', 'ended'])
})

test('at the end nobody is left who has made room', async () => {
  const { child, processes, ended } = supervise('exec sleep 60')
  child.start()
  child.ready()
  for (let times = 0; times < 2; times++) {
    child.release()
    child.released()
    child.ready()
  }
  const [first, second] = processes as [ChildProcess, ChildProcess]
  assert.deepEqual([first.killed, second.killed], [true, false], 'one at a time')
  child.stop()
  assert.equal(second.killed, true)
  child.kill()
  await ended
})

test('a wanted end has no successor', async () => {
  const { child, diary, processes, ended } = supervise('exec sleep 60')
  child.start()
  child.ready()
  assert.equal(child.state, 'running')
  child.stop()
  processes[0]?.kill('SIGTERM')
  await ended
  assert.deepEqual(diary, ['was killed by SIGTERM', 'ended'])
  assert.equal(child.state, 'ended')
  assert.equal(child.pid, null)
})

test('a stop between two lives cancels the next one', async () => {
  const { child, processes, ended } = supervise('exit 1')
  child.start()
  await lives(processes, 2)
  const second = processes[1]
  assert.ok(second)
  // It may be gone before anybody can listen for its end.
  if (second.exitCode === null) await once(second, 'exit')
  assert.equal(child.state, 'waiting')
  child.stop()
  await ended
  assert.equal(processes.length, 2)
})

test('a program that cannot be started counts as a death', async () => {
  const deaths: string[] = []
  const gaveUp = Promise.withResolvers<string>()
  const hooks: ChildHooks = {
    spawn: () => spawn('/nonexistent/program'),
    died: ({ description }) => deaths.push(description),
    gaveUp: gaveUp.resolve,
    ended: () => {},
  }
  new SupervisedChild({ name: 'test', hooks, log, now: () => performance.now() }).start()
  assert.match(await gaveUp.promise, /could not be started: spawn \/nonexistent\/program ENOENT/)
  assert.equal(deaths.length, 5)
})

test('a child that makes room has its successor at once, and that is no failure', async () => {
  const { child, diary, processes, ended } = supervise('exec sleep 60')
  for (let round = 1; round <= 4; round++) {
    if (round === 1) child.start()
    child.ready()
    child.release()
    assert.equal(child.state, 'releasing')
    processes[round - 1]?.kill('SIGTERM')
    await lives(processes, round + 1)
    // A failure would wait from the second one on.
    assert.equal(child.state, 'starting')
  }
  child.stop()
  child.kill()
  await ended
  assert.equal(diary.length, 6)
})

test('a child may be stopped while it makes room', async () => {
  const { child, processes, ended } = supervise('exec sleep 60')
  child.start()
  child.ready()
  child.release()
  child.stop()
  child.kill()
  await ended
  assert.equal(processes.length, 1)
})

test('a life that was given away is nobody’s concern here, and another one can be started', async () => {
  const { child, diary, processes, ended } = supervise('exec sleep 60')
  child.start()
  child.giveAway()
  assert.deepEqual([child.state, child.pid], ['idle', null])
  const [first] = processes
  assert.ok(first)
  child.start()
  first.kill('SIGKILL')
  await once(first, 'exit')
  assert.equal(child.state, 'starting')
  assert.deepEqual(diary, [])
  child.stop()
  child.kill()
  await ended
  assert.deepEqual(diary, ['was killed by SIGKILL', 'ended'])
})

test('a crash is what a process does to itself', async () => {
  const crashes: boolean[] = []
  for (const script of ['exit 3', 'kill -SEGV $$', 'exit 0', 'kill -KILL $$', 'kill -TERM $$']) {
    const died = Promise.withResolvers<boolean>()
    const child: SupervisedChild = new SupervisedChild({
      name: 'test',
      hooks: {
        spawn: () => spawn('/bin/sh', ['-c', script], { stdio: 'ignore' }),
        died: ({ isCrash }) => died.resolve(isCrash),
        gaveUp: () => {},
        ended: () => {},
      },
      log,
      now: () => performance.now(),
    })
    child.start()
    child.stop()
    crashes.push(await died.promise)
  }
  assert.deepEqual(crashes, [true, true, false, false, false])
})

test('a child that cannot even be spawned now is tried again', async () => {
  let attempts = 0
  const spawned = Promise.withResolvers<ChildProcess>()
  const ended = Promise.withResolvers<void>()
  const hooks: ChildHooks = {
    spawn() {
      if (++attempts < 3) throw new Error('socketpair: EMFILE')
      const child = spawn('/bin/sh', ['-c', 'exec sleep 60'], { stdio: 'ignore' })
      spawned.resolve(child)
      return child
    },
    died: () => {},
    gaveUp: () => {},
    ended: ended.resolve,
  }
  const child = new SupervisedChild({ name: 'test', hooks, log, now: () => performance.now() })
  child.start()
  assert.equal(child.state, 'waiting')
  await spawned.promise
  assert.equal(child.state, 'starting')
  child.stop()
  child.kill()
  await ended.promise
})
