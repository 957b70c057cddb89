import { readShardLoad } from '../../memory/shard-records.ts'
import type { SharedState } from '../../memory/shared-state.ts'
import type { PlaneSight } from './strain.ts'

/** What all planes together see of a shard; null when none has had anything to do with it. */
export function planeSight({ shards, geometry }: SharedState, shard: number): PlaneSight | null {
  let sight: PlaneSight | null = null
  for (let plane = 0; plane < geometry.planes; plane++) {
    const load = readShardLoad(shards, plane, shard)
    if (load === null) continue
    const before: PlaneSight = sight ?? { held: 0, limit: 0, waiting: 0 }
    sight = {
      held: load.tiers.reduce((sum, tier) => sum + tier.held, before.held),
      waiting: load.tiers.reduce((sum, tier) => sum + tier.waiting, before.waiting),
      limit: before.limit + load.limit,
    }
  }
  return sight
}
