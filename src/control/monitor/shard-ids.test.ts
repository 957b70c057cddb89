import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ShardIds } from './shard-ids.ts'

test('a name keeps its number, whatever comes and goes around it', () => {
  const ids = new ShardIds([])
  assert.deepEqual([ids.idOf('a'), ids.idOf('b'), ids.idOf('a')], [0, 1, 0])
  assert.equal(ids.idOf('c'), 2)
  assert.equal(ids.idOf('b'), 1)
})

test('numbers from an earlier control process stay with their names and are given to nobody else', () => {
  const ids = new ShardIds([
    ['b', 7],
    ['a', 2],
  ])
  assert.deepEqual([ids.idOf('c'), ids.idOf('a'), ids.idOf('b')], [8, 2, 7])
})
