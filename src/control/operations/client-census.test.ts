import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CLIENT, CLIENT_FLAG, CLIENT_STATE, CLIENT_TEXT, PIN } from '../../memory/client-slots.ts'
import { regionsOf } from '../../memory/layout.ts'
import { PLANE, PLANE_F64 } from '../../memory/plane-records.ts'
import { POOL } from '../../memory/pool-records.ts'
import { formatSharedState, type SharedState } from '../../memory/shared-state.ts'
import { ClientCensus } from './client-census.ts'

const NO_WORK = {
  readsRepeated: 0,
  replays: 0,
  replaysFailed: 0,
  replaysRefused: 0,
  commitsConfirmed: 0,
  commitsAborted: 0,
  commitsUnknown: 0,
}

/** Pool 0 is shard 7's, pool 1 shard 8's. */
function openMemory(): SharedState {
  const sizes = { clientSlots: 8, ordinaryClientSlots: 6, serverSlots: 2, poolRecords: 2, planes: 1 }
  const geometry = { ...sizes, arenaBytesPerPlane: 65_536 }
  const memory = formatSharedState(new ArrayBuffer(regionsOf(geometry).totalBytes), geometry, 0)
  for (const [record, shard] of [7, 8].entries()) {
    const at = record * (memory.pools.recordBytes >> 2)
    memory.pools.i32[at + POOL.state] = 1
    memory.pools.i32[at + POOL.shard] = shard
  }
  return memory
}

function client({ clients }: SharedState, slot: number, values: Partial<Record<keyof typeof CLIENT, number>>): void {
  const at = slot * (clients.recordBytes >> 2)
  const all = { state: CLIENT_STATE.idle, generation: 1, pool: 1, ...values }
  for (const [name, value] of Object.entries(all)) clients.i32[at + CLIENT[name as keyof typeof CLIENT]] = value
  clients.writeText(slot, CLIENT_TEXT.user.offset, CLIENT_TEXT.user.capacity, `user${slot}`)
}

test('clients of the shards are kept, or gone with a reason; others are not counted', () => {
  const memory = openMemory()
  client(memory, 0, {})
  client(memory, 1, { pins: PIN.temporaryObject })
  client(memory, 2, {})
  client(memory, 3, { pool: 2 })
  client(memory, 4, { pool: 0 })
  client(memory, 5, { flags: CLIENT_FLAG.console })
  client(memory, 6, { pins: PIN.sqlPrepare, relocations: 1 })
  const replays = PLANE_F64.replays
  memory.planes.i32[PLANE.pid] = 1
  memory.planes.f64[replays] = 2
  const census = new ClientCensus(memory, new Set([7]), 500)
  memory.planes.f64[replays] = 5
  client(memory, 1, { state: CLIENT_STATE.closing })
  client(memory, 2, { generation: 2 })
  client(memory, 6, { relocations: 2 })
  client(memory, 3, { state: CLIENT_STATE.free, pool: 2 })
  const { summary, batches } = census.end('restart', 120.4)
  const lost = 'its server connection had state of its own (temporaryObject)'
  assert.deepEqual(summary, {
    event: 'restart',
    plane: 0,
    beganAt: 500,
    stallMs: 120,
    kept: 2,
    relocated: 1,
    dropped: 2,
    told: 1,
    reasons: { [lost]: 1, 'it left meanwhile': 1 },
    work: { ...NO_WORK, replays: 3 },
  })
  assert.deepEqual(batches[0], { kept: [0, 1, 6, 1], relocated: [6] })
  assert.deepEqual(
    batches[1]?.dropped?.map(({ user, reason, told }) => [user, reason, told]),
    [
      ['user1', lost, true],
      ['user2', 'it left meanwhile', false],
    ],
  )
})

test('what was lost before the count began is in the report, once', () => {
  const memory = openMemory()
  client(memory, 0, { pins: PIN.temporaryObject })
  client(memory, 1, {})
  const lost = (slot: number) => {
    const who = { user: `user${slot}`, database: 'shop', applicationName: '', address: '::1', remotePort: 1 }
    return { slot, generation: 1, ...who, reason: 'its server connection had state of its own (load)', told: true }
  }
  const earlier = { clients: [lost(0), lost(5)], work: { ...NO_WORK, replays: 2 } }
  memory.planes.i32[PLANE.pid] = 1
  memory.planes.f64[PLANE_F64.replays] = 5
  const census = new ClientCensus(memory, new Set([7]), 0, earlier)
  const { summary, batches } = census.end('failover', 10)
  assert.deepEqual([summary.kept, summary.dropped, summary.told, summary.work?.replays], [2, 1, 1, 3])
  assert.deepEqual(
    batches[1]?.dropped?.map(({ slot }) => slot),
    [5],
  )
})
