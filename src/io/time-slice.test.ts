import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { getPriority, setPriority } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { sleeper } from './sleeper.fixture.ts'
import { isAhead, SHORTEST_SLICE_US, setAhead, setTimeSlice, threadCpuMs, timeSliceOf } from './time-slice.ts'

test('slices become short, long, and as usual again; the niceness stays', async (t) => {
  const pid = await sleeper(t)
  const usual = timeSliceOf(pid)
  if (usual === null) {
    t.skip('time slices are the kernel’s before Linux 6.12')
    return
  }
  setPriority(pid, 3)
  for (const microseconds of [SHORTEST_SLICE_US, 100_000]) {
    assert.equal(setTimeSlice(pid, microseconds), true)
    assert.deepEqual([timeSliceOf(pid), getPriority(pid)], [microseconds, 3])
  }
  assert.equal(setTimeSlice(pid, 0), true)
  assert.deepEqual([timeSliceOf(pid), getPriority(pid)], [usual, 3])
})

test('what is not there is left alone', () => {
  assert.equal(setTimeSlice(4_194_303, SHORTEST_SLICE_US), false)
  assert.equal(timeSliceOf(4_194_303), null)
})

test('a thread runs ahead, what it starts does not, and it is as usual again', async (t) => {
  const usual = timeSliceOf(0)
  if (!setAhead(true)) {
    t.skip('this account may not')
    return
  }
  t.after(() => {
    setTimeSlice(0, 0)
    setPriority(0)
  })
  setPriority(2)
  assert.equal(isAhead(0), true)
  assert.equal(isAhead(await sleeper(t)), false)
  assert.equal(setAhead(false), true)
  assert.deepEqual([isAhead(0), getPriority()], [false, 2])
  if (usual !== null) assert.equal(timeSliceOf(0), SHORTEST_SLICE_US)
  assert.equal(isAhead(4_194_303), null)
})

test('who is ahead by the limit alone can be as usual again, also where he is nice', async (t) => {
  if (process.getuid?.() !== 0 || !setAhead(true)) {
    t.skip('this account may not, or has no rights to give up')
    return
  }
  setAhead(false)
  setTimeSlice(0, 0)
  const program = `
    import { isAhead, setAhead } from '${join(import.meta.dirname, 'time-slice.ts')}'
    const wasAhead = setAhead(true)
    process.setgid(65534)
    process.setuid(65534)
    console.log(wasAhead, setAhead(false), isAhead(0))`
  for (const nice of ['0', '5']) {
    const options = ['-n', nice, process.execPath, '--input-type=module', '--eval', program]
    const { stdout } = await promisify(execFile)('nice', options)
    assert.equal(stdout, 'true true false\n', `niceness ${nice}`)
  }
})

test('the processor time of this thread grows while it works, as the kernel says elsewhere', () => {
  const before = threadCpuMs()
  const { user, system } = process.threadCpuUsage()
  assert.ok(Math.abs(before - (user + system) / 1000) < 20, `${before} ms`)
  const until = before + 5
  while (threadCpuMs() < until) Math.sqrt(until)
  assert.ok(threadCpuMs() - before >= 5)
})
