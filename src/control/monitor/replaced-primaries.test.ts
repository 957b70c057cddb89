import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type KnownPrimary, newTimelines, replacedPrimaries } from './replaced-primaries.ts'

const primary = (id: number, timeline: number | null, group = 'main'): KnownPrimary => ({
  ...{ id, group, timeline },
  name: `db${id}`,
  system: '7',
})

test('of several primaries of a group the one with the latest timeline counts, wherever it stands', () => {
  const replaced = replacedPrimaries([primary(1, 1), primary(2, 3), primary(3, 2)], {})
  assert.deepEqual([...replaced.keys()], [1, 3])
  assert.match(replaced.get(1)!, /^it was replaced by db2, whose timeline is 3 \(its own: 1\): make it a replica/)
})

test('nobody is replaced by one of another group, one of the same timeline, or one that says nothing', () => {
  assert.equal(replacedPrimaries([primary(1, 1), primary(2, 2, 'other')], {}).size, 0)
  assert.equal(replacedPrimaries([primary(1, 2), primary(2, 2)], {}).size, 0)
  assert.equal(replacedPrimaries([primary(1, 1), primary(2, null)], {}).size, 0)
  assert.equal(replacedPrimaries([primary(1, null), primary(2, 2)], {}).size, 0)
})

const seen = { main: { system: '7', timeline: 2, shard: 'db2' } }

test('a primary whose group was seen with a later timeline is replaced, also while nobody has that one', () => {
  assert.match(
    replacedPrimaries([primary(1, 1)], seen).get(1) ?? '',
    /^it was replaced: timeline 2 was seen at db2 \(its own: 1\)\. Start .* delete main from timelines\.json$/,
  )
  assert.equal(replacedPrimaries([primary(1, 2), primary(2, null)], seen).size, 0)
  assert.equal(replacedPrimaries([primary(1, 1, 'other')], seen).size, 0)
  assert.equal(replacedPrimaries([{ ...primary(1, 1), system: '8' }], seen).size, 0)
  assert.equal(replacedPrimaries([{ ...primary(1, 1), system: null }], seen).size, 0)
})

test('a later timeline is noted, and another system, if it is the only one of the group', () => {
  assert.deepEqual([...newTimelines([primary(1, 1), primary(2, 2)], {})], [['main', seen.main]])
  assert.equal(newTimelines([primary(1, 2), primary(2, 1)], seen).size, 0)
  assert.equal(newTimelines([primary(3, 3)], seen).get('main')?.timeline, 3)
  const other = { ...primary(1, 1), system: '8' }
  assert.deepEqual(newTimelines([other], seen).get('main'), { system: '8', timeline: 1, shard: 'db1' })
  assert.equal(newTimelines([other, primary(2, 9)], seen).size, 0)
  assert.equal(newTimelines([{ ...primary(1, 9), system: null }], seen).size, 0)
})
