import assert from 'node:assert/strict'
import { getPriority, setPriority } from 'node:os'
import { test } from 'node:test'
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
  t.after(() => setTimeSlice(0, 0))
  assert.equal(isAhead(0), true)
  assert.equal(isAhead(await sleeper(t)), false)
  assert.equal(setAhead(false), true)
  assert.equal(isAhead(0), false)
  if (usual !== null) assert.equal(timeSliceOf(0), SHORTEST_SLICE_US)
  assert.equal(isAhead(4_194_303), null)
})

test('the processor time of this thread grows while it works, as the kernel says elsewhere', () => {
  const before = threadCpuMs()
  const { user, system } = process.threadCpuUsage()
  assert.ok(Math.abs(before - (user + system) / 1000) < 20, `${before} ms`)
  const until = before + 5
  while (threadCpuMs() < until) Math.sqrt(until)
  assert.ok(threadCpuMs() - before >= 5)
})
