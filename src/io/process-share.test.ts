import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { getPriority } from 'node:os'
import { test } from 'node:test'
import { cpuMeans } from './cpu-share.ts'
import { setProcessNice } from './process-share.ts'

test('all threads of a process have less, and their own again', async (t) => {
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
