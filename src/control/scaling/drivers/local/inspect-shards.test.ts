import assert from 'node:assert/strict'
import { test } from 'node:test'
import { choosePrimary, type ShardFacts } from './inspect-shards.ts'
import { shardDirectory } from './shard-directory.ts'

function facts(name: string, standby: boolean, timeline = 1): ShardFacts {
  return { shard: shardDirectory('/shards', name), major: 18, standby, timeline }
}

test('the shard that follows nobody is the primary', () => {
  const choice = choosePrimary([facts('shard-1', true), facts('shard-2', false), facts('shard-3', true)])
  assert.equal(choice?.primary.shard.name, 'shard-2')
  assert.deepEqual(choice?.superseded, [])
})

test('after a promotion the newest timeline is the primary, and the old primary is superseded', () => {
  const choice = choosePrimary([facts('shard-1', false, 1), facts('shard-2', false, 2), facts('shard-3', true, 2)])
  assert.equal(choice?.primary.shard.name, 'shard-2')
  assert.deepEqual(
    choice?.superseded.map((superseded) => superseded.shard.name),
    ['shard-1'],
  )
})

test('nothing is chosen for a new cluster', () => {
  assert.equal(choosePrimary([]), null)
})

test('replicas alone, and two primaries of one timeline, are for a person to decide', () => {
  assert.throws(() => choosePrimary([facts('shard-2', true), facts('shard-3', true)]), /standby\.signal/)
  assert.throws(() => choosePrimary([facts('shard-1', false), facts('shard-2', false)]), /both claim/)
})
