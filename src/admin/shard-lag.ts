import { SHARD_STATE_F64, stateRecord } from '../memory/shard-records.ts'
import type { Shard } from '../shard/topology.ts'
import type { RouterControl, ShardHealth } from './router-control.ts'

/** What the position watch wrote is of use for this long. */
const FRESH_MS = 1_000

/** Bytes that a replica is behind its primary: of what the position watch found a moment ago, else of the last samples of both. */
export function lagBytes(control: RouterControl, shard: Shard, health: readonly ShardHealth[]): number | null {
  if (shard.role !== 'replica') return null
  const found = watchedLag(control, shard.id)
  if (found !== null) return found
  const primary = control.topology().shards.find((each) => each.group === shard.group && each.role === 'primary')
  const written = walBytes(health, primary?.id)
  const replayed = walBytes(health, shard.id)
  return written === null || replayed === null ? null : Math.max(0, written - replayed)
}

function walBytes(health: readonly ShardHealth[], id: number | undefined): number | null {
  return health.find(({ shard }) => shard === id)?.load?.walBytes ?? null
}

function watchedLag(control: RouterControl, shard: number): number | null {
  const record = stateRecord(shard)
  if (record < 0) return null
  const { shards } = control.memory
  const f = record * (shards.recordBytes >> 3)
  const freshAt = shards.f64[f + SHARD_STATE_F64.freshAt] ?? 0
  if (freshAt === 0 || control.nowMonotonic() - freshAt > FRESH_MS) return null
  return shards.f64[f + SHARD_STATE_F64.lagBytes] ?? 0
}
