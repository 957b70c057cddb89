import assert from 'node:assert/strict'
import { test } from 'node:test'
import { regionsOf } from '../../memory/layout.ts'
import { loadRecord, SHARD_LOAD, SHARD_LOAD_F64, SHARD_WAITS, waitBucket } from '../../memory/shard-records.ts'
import { formatSharedState } from '../../memory/shared-state.ts'
import { NO_POLICY } from '../../shard/policy.ts'
import type { ShardAdjustment } from '../../shard/shard-adjustment.ts'
import { freezeShard } from '../failover/failover.fixture.ts'
import { Adjuster, type AdjusterSettings } from './adjuster.ts'
import { TIER_POLICIES } from './load-simulation.fixture.ts'

const HIGH = 0
const settled = () => new Promise((resolve) => setImmediate(resolve))
const LOW = 2
const shard = freezeShard({ id: 1, name: 'db1', role: 'primary', up: true })

/** An adjuster over memory that the test writes as a plane would, a clock that it sets, and what it was told. */
function open(changes: Partial<AdjusterSettings> = {}) {
  const geometry = { clientSlots: 4, ordinaryClientSlots: 2, serverSlots: 4, poolRecords: 4, planes: 1 }
  const all = { ...geometry, arenaBytesPerPlane: 65_536 }
  const memory = formatSharedState(new ArrayBuffer(regionsOf(all).totalBytes), all, 0)
  const settings = { mode: 'on' as const, patienceMs: 1000, calmMs: 3000, cancelReadsMs: 0, ...changes }
  const told: string[] = []
  const asked: unknown[] = []
  let adjustments: ReadonlyMap<number, ShardAdjustment> = new Map()
  let now = 1000
  let isReadFound = true
  const adjuster = new Adjuster({
    memory,
    monitor: {
      topology: { version: 1, shards: [shard] },
      reports: () => [],
      setAdjustments: (changed) => {
        adjustments = changed
      },
    },
    link: {
      ask: async (plane, command) => {
        asked.push({ plane, ...command })
        if (!isReadFound) throw new Error('no read')
      },
    },
    policy: () => ({ ...NO_POLICY, tiers: TIER_POLICIES }),
    settings: () => ({ ...settings, objectives: [5, 50, 0, 0] }),
    events: { publish: ({ what, reason }) => told.push(`${what}: ${reason}`) },
    now: () => now,
  })
  const { i32, f64, recordBytes } = memory.shards
  const i = loadRecord(0, shard.id) * (recordBytes >> 2)
  const f = i >> 1
  i32[i + SHARD_LOAD.limit] = 16
  i32[i + SHARD_LOAD.held + LOW] = 8
  /** Half seconds in each of which ten high transactions begin, all after so long a wait. */
  const run = (halfSeconds: number, waitMs: number): void => {
    for (let each = 0; each < halfSeconds; each++) {
      now += 500
      f64[f + SHARD_LOAD_F64.admitted + HIGH] = (f64[f + SHARD_LOAD_F64.admitted + HIGH] ?? 0) + 10
      const bucket = f + SHARD_WAITS.first + HIGH * SHARD_WAITS.buckets + waitBucket(waitMs)
      f64[bucket] = (f64[bucket] ?? 0) + 10
      adjuster.look()
    }
  }
  const findNone = (): void => {
    isReadFound = false
  }
  return { adjuster, run, told, asked, findNone, adjustment: () => adjustments.get(shard.id) ?? null, settings }
}

test('what waits too long is helped step by step, and everything is given back when it does not any more', () => {
  const { adjuster, run, told, adjustment } = open()
  run(4, 0.1)
  assert.equal(adjustment(), null)
  // After each step half a second says nothing yet.
  run(18, 30)
  assert.deepEqual(adjustment()?.most, [null, 8, 1, 1])
  assert.equal(adjustment()?.step, 'ask')
  assert.deepEqual(
    [...adjuster.appeals].map(([id, { tier, isAlone }]) => [id, tier, isAlone]),
    [[shard.id, HIGH, false]],
  )
  run(40, 0.1)
  assert.deepEqual([adjustment(), adjuster.appeals.size], [null, 0])
  assert.deepEqual(
    told.map((line) => line.split(':')[0]),
    [
      'db1 does not lend the reservations of tier high any more',
      'db1 gives tiers below high half of their slots',
      'db1 lets tiers below high wait',
      'db1 needs a further shard beside it',
      'db1 gives back a part',
      'db1 gives back a part',
      'db1 gives everybody what the policy says again',
    ],
  )
  assert.match(told[0] ?? '', /: tier high waits 3\d ms for its turn, and may wait 5 ms$/)
})

test('a dry run tells what it would do, and does nothing', async () => {
  const { adjuster, run, told, adjustment, asked } = open({ mode: 'dry-run', cancelReadsMs: 100 })
  run(24, 30)
  await settled()
  assert.equal(adjustment(), null)
  assert.deepEqual([asked, adjuster.appeals.size], [[], 0])
  assert.ok(told.length >= 5)
  assert.ok(told.every((line) => line.startsWith('dry run: db1') || line.startsWith('dry run: the longest read')))
})

test('switched off, it gives back what it took', () => {
  const { run, adjustment, settings } = open()
  run(6, 30)
  assert.notEqual(adjustment(), null)
  Object.assign(settings, { mode: 'off' })
  run(1, 30)
  assert.equal(adjustment(), null)
})

test('reads of the lowest tiers without a promise are cancelled, ten seconds apart, only where that is allowed', async () => {
  const { run, asked, told, findNone } = open({ cancelReadsMs: 700 })
  run(18, 30)
  await settled()
  assert.deepEqual(asked, [{ plane: 0, op: 'cancel-read', shard: 1, tiers: [3, 2], longerThanMs: 700 }])
  assert.ok(told.some((line) => line.startsWith('the longest read of a lower tier on db1 is cancelled')))
  findNone()
  const before = told.length
  run(22, 30)
  await settled()
  assert.equal(asked.length, 2)
  assert.equal(told.slice(before).filter((line) => line.includes('cancelled')).length, 0)
  const without = open()
  without.run(30, 30)
  await settled()
  assert.deepEqual(without.asked, [])
})
