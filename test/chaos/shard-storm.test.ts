import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../../src/util/seeded-random.ts'
import { pickFault, SHARD_FAULTS } from './shard-faults.ts'
import { runStorm } from './shard-storm.ts'

test('every fault happens, the same for the same seed', () => {
  const faults = (seed: number) => {
    const random = seededRandom(seed)
    return Array.from({ length: 500 }, () => pickFault(random))
  }
  assert.deepEqual(faults(7), faults(7))
  assert.notDeepEqual(faults(7), faults(8))
  assert.deepEqual([...new Set(faults(7))].sort(), [...SHARD_FAULTS].sort())
})

test('shards fail in random ways under work of all kinds: nobody is told what is not true, and only state that is lost ends a session', async () => {
  const durationMs = Number(process.env.SWITCHYARD_STORM_MS ?? 15_000)
  const { audit, violations, operations } = await runStorm({ seed: 11, durationMs, clients: 16 })
  assert.deepEqual(violations, [])
  assert.deepEqual(audit, { lost: 0, doubled: 0, isBalanced: true })
  assert.ok(operations > 1000)
})
