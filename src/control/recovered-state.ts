import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { PLANE } from '../memory/plane-records.ts'
import { readPool } from '../memory/pool-records.ts'
import type { SharedState } from '../memory/shared-state.ts'

/*
 * What a control process reads in shared memory of the time before it lived: planes went on without it.
 */

/** The highest versions that planes have; new ones must be higher. */
export function lastVersions({ planes, geometry }: SharedState): {
  readonly values: number
  readonly topology: number
} {
  let values = 0
  let topology = 0
  for (let plane = 0; plane < geometry.planes; plane++) {
    const at = plane * (planes.recordBytes >> 2)
    values = Math.max(values, planes.i32[at + PLANE.valuesVersion] ?? 0)
    topology = Math.max(topology, planes.i32[at + PLANE.topologyVersion] ?? 0)
  }
  return { values, topology }
}

/** Shards that have pools, with the ids that the pools know them by. */
export function knownShards({ pools }: SharedState): ReadonlyMap<string, number> {
  const ids = new Map<string, number>()
  for (let record = 0; record < pools.count; record++) {
    const pool = readPool(pools, record)
    if (pool !== null) ids.set(pool.shard, pool.shardId)
  }
  return ids
}

/** Where control notes what is paused; databases without a pool are nowhere else. */
export const pausesFile = (runDirectory: string): string => join(runDirectory, 'pauses.json')

/** What was paused when the last control process died; null stands for all databases. */
export function lastPauses(runDirectory: string, memory: SharedState): Iterable<string | null> {
  try {
    return JSON.parse(readFileSync(pausesFile(runDirectory), 'utf8'))
  } catch {
    // It died before it had noted anything.
    return pausedDatabases(memory)
  }
}

/** Databases whose pools are paused. */
function pausedDatabases({ pools }: SharedState): ReadonlySet<string> {
  const paused = new Set<string>()
  for (let record = 0; record < pools.count; record++) {
    const pool = readPool(pools, record)
    if (pool?.paused === true) paused.add(pool.database)
  }
  return paused
}
