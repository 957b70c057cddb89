import { readShardLoad, SHARD_WAITS, type ShardLoadView } from '../../memory/shard-records.ts'
import type { SharedState } from '../../memory/shared-state.ts'
import { TIERS } from '../../shard/tier.ts'
import { waitAtP99 } from './wait-p99.ts'

/** What one shard had to do since the look before this one. */
export interface ShardSample {
  /** Transactions that it may have at once, and has. */
  readonly slots: number
  readonly busy: number
  /** How long 99 of 100 transactions of each tier waited at most, in milliseconds, in the order of `TIERS`. */
  readonly waitMs: readonly number[]
}

interface Totals {
  readonly admitted: readonly number[]
  readonly waitCounts: readonly (readonly number[])[]
}

/** Looks at what planes write of each shard, and tells what has changed from look to look. */
export class LoadSampler {
  readonly #memory: SharedState
  #before = new Map<number, Totals>()
  #lookedAt = 0

  constructor(memory: SharedState) {
    this.#memory = memory
  }

  /** By shard id; shards that no plane has had to do with are left out. `now`: monotonic milliseconds. */
  look(shards: readonly number[], now: number): ReadonlyMap<number, ShardSample> {
    const intervalMs = Math.max(1, now - this.#lookedAt)
    this.#lookedAt = now
    const totals = new Map<number, Totals>()
    const samples = new Map<number, ShardSample>()
    for (const shard of shards) {
      const views = this.#views(shard)
      if (views.length === 0) continue
      const after = totalsOf(views)
      totals.set(shard, after)
      samples.set(shard, sampleOf(views, this.#before.get(shard) ?? after, after, intervalMs))
    }
    this.#before = totals
    return samples
  }

  #views(shard: number): readonly ShardLoadView[] {
    const { shards, geometry } = this.#memory
    const planes = Array.from({ length: geometry.planes }, (_, plane) => readShardLoad(shards, plane, shard))
    return planes.filter((view) => view !== null)
  }
}

function totalsOf(views: readonly ShardLoadView[]): Totals {
  const sum = (of: (view: ShardLoadView) => number): number => views.reduce((total, view) => total + of(view), 0)
  const buckets = Array.from({ length: SHARD_WAITS.buckets }, (_, bucket) => bucket)
  return {
    admitted: TIERS.map((_, tier) => sum(({ tiers }) => tiers[tier]?.admitted ?? 0)),
    waitCounts: TIERS.map((_, tier) =>
      buckets.map((bucket) => sum(({ tiers }) => tiers[tier]?.waitCounts[bucket] ?? 0)),
    ),
  }
}

function sampleOf(views: readonly ShardLoadView[], before: Totals, after: Totals, intervalMs: number): ShardSample {
  const waitMs = TIERS.map((_, tier) => {
    const counts = after.waitCounts[tier] ?? []
    return waitAtP99({
      intervalMs,
      admitted: (after.admitted[tier] ?? 0) - (before.admitted[tier] ?? 0),
      waitCounts: counts.map((count, bucket) => count - (before.waitCounts[tier]?.[bucket] ?? 0)),
      waiting: views.reduce((sum, { tiers }) => sum + (tiers[tier]?.waiting ?? 0), 0),
    })
  })
  return {
    slots: Math.max(...views.map(({ limit }) => limit)),
    busy: views.reduce((sum, { tiers }) => sum + tiers.reduce((held, tier) => held + tier.held, 0), 0),
    waitMs,
  }
}

/** Transactions on a shard at this moment. */
export function busyOn({ shards, geometry }: SharedState, shard: number): number {
  let busy = 0
  for (let plane = 0; plane < geometry.planes; plane++) {
    for (const { held } of readShardLoad(shards, plane, shard)?.tiers ?? []) busy += held
  }
  return busy
}
