import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { signalProcess, until } from './cleanup.ts'
import {
  CpuMeter,
  findProcesses,
  parseProcessStat,
  processTitle,
  readMemoryUse,
  readProcessStat,
} from './process-usage.ts'

test('a process name with spaces and parentheses does not shift the fields', () => {
  const text = '42 (a) S (b) R 7 42 42 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 1 0 1 1 1'
  assert.deepEqual(parseProcessStat(text), { state: 'R', parent: 7, cpuTicks: 300 })
})

test('CPU time is counted from the first reading, and stays counted when a process ends', async () => {
  const child = spawn(process.execPath, ['-e', 'for (;;) {}'])
  const pid = child.pid!
  const meter = new CpuMeter()
  assert.equal(meter.read([pid]), 0)
  await until('some CPU time of the child', () => meter.read([pid]) >= 50_000, { timeoutMs: 10_000 })
  const used = meter.read([pid])
  child.kill('SIGKILL')
  await once(child, 'exit')
  assert.equal(readProcessStat(pid), null)
  assert.ok(meter.read([pid]) >= used)
})

test('descendants are found, and detached ones by their environment', async () => {
  const marker = `BENCH_TEST=${process.pid}`
  // The middle one ends, so that the last one belongs to somebody else's tree.
  const last = `require('child_process').spawn('sleep', ['60'], { detached: true, stdio: 'ignore', env: { BENCH_TEST: '${process.pid}' } })`
  const middle = spawn(process.execPath, ['-e', `${last}.unref()`], { stdio: 'ignore' })
  const middlePid = middle.pid!
  await once(middle, 'exit')
  const found = findProcesses(middlePid, marker)
  try {
    assert.equal(found.length, 1)
    assert.equal(processTitle(found[0]!), 'sleep')
    assert.ok(readMemoryUse(found[0]!).pssBytes > 0)
    assert.ok(findProcesses(process.pid, 'NO_SUCH=marker').includes(process.pid))
  } finally {
    for (const pid of found) signalProcess(pid, 'SIGKILL')
  }
})

test('a process that is gone uses nothing', () => {
  const gone = 2 ** 22 + 1
  assert.deepEqual(readMemoryUse(gone), { pssBytes: 0, fds: 0 })
  assert.equal(readProcessStat(gone), null)
  assert.equal(processTitle(gone), '')
})
