import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type KnownPrimary, replacedPrimaries } from './replaced-primaries.ts'

const primary = (id: number, timeline: number | null, group = 'main'): KnownPrimary => ({
  ...{ id, group, timeline },
  name: `db${id}`,
})

test('of several primaries of a group the one with the latest timeline counts, wherever it stands', () => {
  const replaced = replacedPrimaries([primary(1, 1), primary(2, 3), primary(3, 2)])
  assert.deepEqual([...replaced.keys()], [1, 3])
  assert.match(replaced.get(1)!, /^it was replaced by db2, whose timeline is 3 \(its own: 1\): make it a replica/)
})

test('nobody is replaced by one of another group, one of the same timeline, or one that says nothing', () => {
  assert.equal(replacedPrimaries([primary(1, 1), primary(2, 2, 'other')]).size, 0)
  assert.equal(replacedPrimaries([primary(1, 2), primary(2, 2)]).size, 0)
  assert.equal(replacedPrimaries([primary(1, 1), primary(2, null)]).size, 0)
  assert.equal(replacedPrimaries([primary(1, null), primary(2, 2)]).size, 0)
})
