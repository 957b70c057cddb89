import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { getPriority, tmpdir } from 'node:os'
import { test } from 'node:test'
import { cpuMeans, HELD_SLICE_US, holdBack, worksIn } from './cpu-share.ts'
import { sleeper } from './sleeper.fixture.ts'
import { timeSliceOf } from './time-slice.ts'

test('a process gets a smaller share, and its own again', async (t) => {
  const pid = await sleeper(t)
  const means = cpuMeans(pid)
  if (means.kind === 'none') {
    assert.notEqual(means.reason, '')
    assert.equal(holdBack(means, pid, 10), 'refused')
    return
  }
  if (means.kind === 'slice') {
    t.skip('its niceness cannot be set and set back here')
    return
  }
  const niceness = (): number =>
    means.kind === 'process'
      ? getPriority(pid)
      : Number(/nice (-?\d+)/.exec(readFileSync(`/proc/${pid}/autogroup`, 'utf8'))?.[1])
  assert.equal(holdBack(means, pid, 10), 'done')
  assert.equal(niceness(), 10)
  // Null: of a kernel that has no such thing.
  const slice = timeSliceOf(pid)
  assert.ok(slice === null || slice === HELD_SLICE_US)
  // The kernel may want some time in between from who is not root.
  const back = holdBack(means, pid, 0)
  if (back === 'later') return
  assert.equal(back, 'done')
  assert.equal(niceness(), 0)
  assert.equal(timeSliceOf(pid), timeSliceOf(0))
})

test('where its share cannot be made smaller, others are let in before it', async (t) => {
  const pid = await sleeper(t)
  if (timeSliceOf(pid) === null) {
    t.skip('time slices are the kernel’s before Linux 6.12')
    return
  }
  assert.equal(holdBack({ kind: 'slice', isRationed: false }, pid, 10), 'done')
  assert.deepEqual([timeSliceOf(pid), getPriority(pid)], [HELD_SLICE_US, 0])
  assert.equal(holdBack({ kind: 'slice', isRationed: false }, pid, 0), 'done')
  assert.equal(timeSliceOf(pid), timeSliceOf(0))
})

test('of a process that is gone, or not ours, that is said', async (t) => {
  assert.equal(holdBack({ kind: 'autogroup', isRationed: false }, 4_194_303, 10), 'gone')
  assert.equal(holdBack({ kind: 'process', isRationed: false }, 4_194_303, 10), 'gone')
  assert.equal(holdBack({ kind: 'slice', isRationed: false }, 4_194_303, 10), 'gone')
  assert.equal(holdBack({ kind: 'none', reason: 'x' }, 1, 10), 'refused')
  const pid = await sleeper(t)
  assert.equal(worksIn(pid, tmpdir()), true)
  assert.equal(worksIn(pid, '/'), false)
  assert.equal(worksIn(4_194_303, tmpdir()), false)
  assert.equal(worksIn(pid, '/nowhere'), false)
})
