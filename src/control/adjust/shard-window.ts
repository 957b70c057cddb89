import { SHARD_WAITS, type ShardLoadView } from '../../memory/shard-records.ts'
import { TIERS } from '../../shard/tier.ts'
import { waitAtP99 } from '../scaling/wait-p99.ts'
import type { TierSight } from './pressure.ts'

/** Waits are told of the last two seconds: one bad moment is none any more after that. */
const WINDOW_MS = 2_000

interface Snapshot {
  readonly at: number
  /** Running totals in the order of `TIERS`. */
  readonly admitted: readonly number[]
  readonly waitCounts: readonly (readonly number[])[]
}

/** What tiers had to do with one shard in the last two seconds, from looks at the running totals of the planes. */
export class ShardWindow {
  #snapshots: readonly Snapshot[] = []

  /** One more look. `views`: one of each plane that has had to do with the shard. `now`: monotonic milliseconds. */
  look(views: readonly ShardLoadView[], now: number): readonly TierSight[] {
    const last = snapshot(views, now)
    // A plane that was replaced begins anew.
    const isNew = this.#snapshots.at(-1)?.admitted.some((count, tier) => count > (last.admitted[tier] ?? 0)) === true
    const kept = isNew ? [] : this.#snapshots
    const inWindow = kept.filter(({ at }) => at >= now - WINDOW_MS)
    const first = kept[kept.length - inWindow.length - 1] ?? inWindow[0] ?? last
    this.#snapshots = [first, ...inWindow.filter((each) => each !== first), last]
    return TIERS.map((_, tier) => sightOf(views, tier, first, last))
  }
}

function snapshot(views: readonly ShardLoadView[], at: number): Snapshot {
  const buckets = Array.from({ length: SHARD_WAITS.buckets }, (_, bucket) => bucket)
  return {
    at,
    admitted: TIERS.map((_, tier) => sum(views, (view) => view.tiers[tier]?.admitted)),
    waitCounts: TIERS.map((_, tier) =>
      buckets.map((bucket) => sum(views, (view) => view.tiers[tier]?.waitCounts[bucket])),
    ),
  }
}

function sightOf(views: readonly ShardLoadView[], tier: number, first: Snapshot, last: Snapshot): TierSight {
  const admitted = (last.admitted[tier] ?? 0) - (first.admitted[tier] ?? 0)
  const waiting = sum(views, (view) => view.tiers[tier]?.waiting)
  const counts = last.waitCounts[tier] ?? []
  const waitCounts = counts.map((count, bucket) => count - (first.waitCounts[tier]?.[bucket] ?? 0))
  const intervalMs = last.at - first.at
  return {
    held: sum(views, (view) => view.tiers[tier]?.held),
    waiting,
    admitted,
    waitMs: intervalMs <= 0 ? 0 : waitAtP99({ intervalMs, admitted, waitCounts, waiting }),
  }
}

function sum(views: readonly ShardLoadView[], of: (view: ShardLoadView) => number | undefined): number {
  return views.reduce((total, view) => total + (of(view) ?? 0), 0)
}
