import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NiceOutcome } from '../io/cpu-share.ts'
import { BootShare } from './boot-share.ts'

function shareOf(...outcomes: readonly NiceOutcome[]): { share: BootShare; asked: string[] } {
  const asked: string[] = []
  const left = [...outcomes]
  const share = new BootShare((pid, nice) => {
    asked.push(`${pid} ${nice}`)
    return left.shift() ?? 'done'
  })
  return { share, asked }
}

test('who boots has less, and its own when somebody waits for it', () => {
  const { share, asked } = shareOf()
  share.yield(7)
  share.restore(7)
  share.restore(7)
  assert.deepEqual(asked, ['7 5', '7 0'])
})

test('who never had less is left alone: not asked, refused, or gone', () => {
  const { share, asked } = shareOf('refused')
  share.restore(6)
  share.yield(undefined)
  share.yield(7)
  share.restore(7)
  share.yield(8)
  share.forget(8)
  share.restore(8)
  share.restore(undefined)
  assert.deepEqual(asked, ['7 5', '8 5'])
})

test('who is not waited for has its share a moment later, unless it has ended', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { share, asked } = shareOf()
  for (const pid of [7, 8]) {
    share.yield(pid)
    share.restoreLater(pid)
  }
  t.mock.timers.tick(4_000)
  share.forget(8)
  assert.deepEqual(asked, ['7 5', '8 5'])
  t.mock.timers.tick(2_000)
  assert.deepEqual(asked, ['7 5', '8 5', '7 0'])
})

test('what the kernel does not do yet is tried again, until the process is gone', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { share, asked } = shareOf('done', 'later', 'later', 'done')
  share.yield(7)
  share.restore(7)
  t.mock.timers.tick(100)
  t.mock.timers.tick(100)
  t.mock.timers.tick(100)
  assert.deepEqual(asked, ['7 5', '7 0', '7 0', '7 0'])
  const gone = shareOf('done', 'later')
  gone.share.yield(8)
  gone.share.restore(8)
  gone.share.forget(8)
  t.mock.timers.tick(100)
  assert.deepEqual(gone.asked, ['8 5', '8 0'])
})
