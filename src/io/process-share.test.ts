import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { getPriority } from 'node:os'
import { type TestContext, test } from 'node:test'
import { cpuMeans, HELD_SLICE_US } from './cpu-share.ts'
import { setHelpersNice, setProcessNice } from './process-share.ts'
import { timeSliceOf } from './time-slice.ts'

/** A process with threads beside its first one. */
async function startThreads(t: TestContext): Promise<number> {
  const program =
    'new (require("node:worker_threads").Worker)("setInterval(() => {}, 1e6)", { eval: true }).on("online", () => console.log("on"))'
  const child = spawn(process.execPath, ['-e', program], { detached: true, stdio: ['ignore', 'pipe', 'inherit'] })
  const pid = child.pid as number
  t.after(async () => {
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  })
  await once(child.stdout, 'data')
  return pid
}

test('all threads of a process have less, and their own again', async (t) => {
  const pid = await startThreads(t)
  const means = cpuMeans(pid)
  if (means.kind === 'none' || means.kind === 'slice') {
    assert.equal(setProcessNice(pid, 10), 'refused')
    return
  }
  assert.equal(setProcessNice(pid, 10), 'done')
  const threads = (): readonly number[] => readdirSync(`/proc/${pid}/task`).map((thread) => getPriority(Number(thread)))
  if (means.kind === 'process') assert.deepEqual(new Set(threads()), new Set([10]))
  const back = setProcessNice(pid, 0)
  // The kernel may want some time in between from who is not root.
  assert.ok(back === 'done' || back === 'later')
  if (means.kind === 'process') assert.deepEqual(new Set(threads()), new Set([0]))
})

test('of a process that is gone, that is said', () => {
  assert.notEqual(setProcessNice(4_194_303, 10), 'done')
})

test('the threads that help the first one have less than that', async (t) => {
  const pid = await startThreads(t)
  setHelpersNice(pid, 10)
  const threads = readdirSync(`/proc/${pid}/task`).map(Number)
  const nice = threads.map((thread) => [thread === pid, getPriority(thread)])
  assert.ok(nice.length > 1)
  for (const [isFirst, priority] of nice) assert.equal(priority, isFirst ? 0 : 10)
  const usual = timeSliceOf(0)
  for (const thread of usual === null ? [] : threads)
    assert.equal(timeSliceOf(thread), thread === pid ? usual : HELD_SLICE_US)
  setHelpersNice(4_194_303, 10)
})
