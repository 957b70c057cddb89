import assert from 'node:assert/strict'
import { test } from 'node:test'
import { judgeCatchUp } from './catching-up.ts'

const PRIMARY = { identifier: '7', position: { isInRecovery: false, lsn: 10_000, timeline: 2 } }
const replica = (changes: object = {}, identifier: string | null = '7') => ({
  identifier,
  position: { isInRecovery: true, lsn: 9_900, timeline: 2, ...changes },
})

test('a replica that is hardly behind is ready', () => {
  assert.deepEqual(judgeCatchUp(replica(), PRIMARY, 100), { kind: 'ready' })
  assert.deepEqual(judgeCatchUp(replica({}, null), PRIMARY, 100), { kind: 'ready' })
})

test('one that is behind, or on another timeline, may still come', () => {
  for (const newcomer of [replica({ lsn: 9_899 }), replica({ timeline: 1 }), { identifier: '7', position: null }]) {
    assert.equal(judgeCatchUp(newcomer, PRIMARY, 100).kind, 'behind')
  }
  assert.equal(judgeCatchUp(replica(), { ...PRIMARY, position: null }, 100).kind, 'behind')
})

test('one of another cluster, or that is no replica, never will', () => {
  assert.equal(judgeCatchUp(replica({}, '8'), PRIMARY, 100).kind, 'refused')
  assert.equal(judgeCatchUp(replica({ isInRecovery: false }), PRIMARY, 100).kind, 'refused')
})
