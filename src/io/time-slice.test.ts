import assert from 'node:assert/strict'
import { getPriority, setPriority } from 'node:os'
import { test } from 'node:test'
import { sleeper } from './sleeper.fixture.ts'
import { SHORTEST_SLICE_US, setTimeSlice, timeSliceOf } from './time-slice.ts'

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
