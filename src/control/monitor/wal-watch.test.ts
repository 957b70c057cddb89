import assert from 'node:assert/strict'
import { test } from 'node:test'
import { regionsOf } from '../../memory/layout.ts'
import { loadRecord, SHARD_LOAD_F64, SHARD_STATE_F64 } from '../../memory/shard-records.ts'
import { formatSharedState, type SharedState } from '../../memory/shared-state.ts'
import type { WalPosition } from './wal-position.ts'
import { type PositionSource, WalWatch } from './wal-watch.ts'

const GEOMETRY = {
  clientSlots: 1,
  ordinaryClientSlots: 1,
  serverSlots: 1,
  poolRecords: 1,
  planes: 1,
  arenaBytesPerPlane: 4096,
} as const

function open(): SharedState {
  return formatSharedState(new ArrayBuffer(regionsOf(GEOMETRY).totalBytes), GEOMETRY, 0)
}

/** Answers with what `at` says at the moment, and counts how often it was asked. */
class Source implements PositionSource {
  readonly group = 'main'
  readonly id: number
  asked = 0
  at: WalPosition | null

  constructor(id: number, at: WalPosition | null) {
    this.id = id
    this.at = at
  }

  position(): Promise<WalPosition | null> {
    this.asked++
    return Promise.resolve(this.at)
  }
}

const state = ({ shards }: SharedState, shard: number, field: keyof typeof SHARD_STATE_F64): number =>
  shards.f64[shard * (shards.recordBytes >> 3) + SHARD_STATE_F64[field]] ?? -1

async function until(what: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000
  while (!what()) {
    if (performance.now() > deadline) throw new Error(`waited in vain: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

test('a replica counts after three answers, as of the moment it has caught up with, and not while it is silent', async () => {
  const memory = open()
  const primary = new Source(0, { isInRecovery: false, lsn: 500, timeline: 1 })
  const replica = new Source(1, { isInRecovery: true, lsn: 500, timeline: 1 })
  const watch = new WalWatch(memory, () => performance.now())
  const began = performance.now()
  watch.watch([primary, replica])
  await until(() => state(memory, 1, 'freshAsOf') >= began)
  assert.ok(replica.asked >= 3)
  assert.ok(state(memory, 1, 'freshAsOf') <= performance.now())
  assert.equal(state(memory, 1, 'lagBytes'), 0)
  const caughtUp = state(memory, 1, 'freshAsOf')
  primary.at = { isInRecovery: false, lsn: 800, timeline: 1 }
  await until(() => state(memory, 1, 'lagBytes') === 300)
  assert.ok(state(memory, 1, 'freshAsOf') < caughtUp + 5000)
  replica.at = null
  await until(() => state(memory, 1, 'freshAsOf') === 0)
  const before = replica.asked
  replica.at = { isInRecovery: true, lsn: 800, timeline: 1 }
  await until(() => state(memory, 1, 'freshAsOf') > 0)
  assert.ok(replica.asked >= before + 3)
  replica.at = { isInRecovery: true, lsn: 900, timeline: 2 }
  await until(() => state(memory, 1, 'freshAsOf') === 0)
  await watch.close()
})

test('it asks more often while a write has not reached a replica, and nobody in a group of one', async () => {
  const memory = open()
  const primary = new Source(0, { isInRecovery: false, lsn: 500, timeline: 1 })
  const replica = new Source(1, { isInRecovery: true, lsn: 400, timeline: 1 })
  const watch = new WalWatch(memory, () => performance.now())
  watch.watch([primary])
  assert.equal(primary.asked, 0)
  const f = loadRecord(0, 0) * (memory.shards.recordBytes >> 3)
  memory.shards.f64[f + SHARD_LOAD_F64.wroteAt] = performance.now() + 100_000
  const began = performance.now()
  watch.watch([primary, replica])
  await until(() => replica.asked >= 10)
  // At rest ten questions take two seconds.
  assert.ok(performance.now() - began < 1500)
  await watch.close()
  const { asked } = replica
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(replica.asked, asked)
})

test('whoever rests goes on at once when somebody has written in its group', async () => {
  const memory = open()
  const primary = new Source(0, { isInRecovery: false, lsn: 500, timeline: 1 })
  const replica = new Source(1, { isInRecovery: true, lsn: 500, timeline: 1 })
  const watch = new WalWatch(memory, () => performance.now())
  watch.watch([primary, replica])
  await until(() => replica.asked > 0)
  const began = performance.now()
  const wanted = replica.asked + 20
  while (replica.asked < wanted) {
    watch.wrote('other')
    watch.wrote('main')
    await new Promise((resolve) => setImmediate(resolve))
  }
  // By itself that takes four seconds.
  assert.ok(performance.now() - began < 2000)
  await watch.close()
})
