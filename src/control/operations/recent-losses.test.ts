import assert from 'node:assert/strict'
import { test } from 'node:test'
import { regionsOf } from '../../memory/layout.ts'
import { PLANE, PLANE_F64 } from '../../memory/plane-records.ts'
import type { DroppedClient } from '../../memory/preservation.ts'
import { formatSharedState } from '../../memory/shared-state.ts'
import { RecentLosses } from './recent-losses.ts'

const lost = (slot: number): DroppedClient => {
  const who = { user: 'ada', database: 'shop', applicationName: '', address: '::1', remotePort: 5 }
  return { slot, generation: 1, ...who, reason: 'its server connection had state of its own (load)', told: true }
}

test('what was lost on some shards since a moment, and the totals before it', () => {
  const sizes = { clientSlots: 8, ordinaryClientSlots: 6, serverSlots: 2, poolRecords: 2, planes: 1 }
  const geometry = { ...sizes, arenaBytesPerPlane: 65_536 }
  const memory = formatSharedState(new ArrayBuffer(regionsOf(geometry).totalBytes), geometry, 0)
  memory.planes.i32[PLANE.pid] = 1
  let now = 0
  const losses = new RecentLosses(memory, () => now)
  assert.deepEqual(losses.since(0, new Set([7])), { clients: [], work: null })
  for (const [at, replays] of [
    [1000, 3],
    [2000, 4],
    [3000, 9],
  ] as const) {
    now = at
    memory.planes.f64[PLANE_F64.replays] = replays
    losses.sample()
    losses.note(7, lost(at))
    losses.note(8, lost(at))
  }
  const { clients, work } = losses.since(2000, new Set([7]))
  assert.deepEqual([clients.map(({ slot }) => slot), work?.replays], [[2000, 3000], 4])
  // Before the first sample nobody knows better.
  assert.equal(losses.since(500, new Set([7])).work?.replays, 3)
  now = 122_500
  losses.sample()
  assert.deepEqual(
    losses.since(0, new Set([7])).clients.map(({ slot }) => slot),
    [3000],
  )
})
