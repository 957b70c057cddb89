import { connectionsOf, type LoadSample } from './load-sample.ts'

/** What the planes see of one shard, over all planes and tiers. */
export interface PlaneSight {
  /** Transactions under way, how many there may be, and how many wait. */
  readonly held: number
  readonly limit: number
  readonly waiting: number
}

/** An answer to one of the monitor's questions usually takes a few milliseconds. */
const SLOW_MS = 250
/** A shard with fewer free connections than this has no room for another pool, or for its operator. */
const LEAST_FREE = 3
/** Fewer sessions than this that wait for one another's short locks are chance. */
const LEAST_CROWD = 8

/** Why a shard has too much to do, one phrase; null: it has not, as far as is known. */
export function strainOf(load: LoadSample | null, sight: PlaneSight | null): string | null {
  if (load !== null && load.tookMs >= SLOW_MS) return `answers slowly: ${Math.round(load.tookMs)} ms`
  if (load !== null) {
    const free = load.maxConnections - connectionsOf(load)
    if (free < LEAST_FREE) return `${Math.max(0, free)} of ${load.maxConnections} connections are free`
    const { lwlock } = load.waits
    const { active } = load.sessions
    if (lwlock >= LEAST_CROWD && lwlock * 2 >= active) {
      return `${lwlock} of ${active} active sessions wait for short locks of the server`
    }
  }
  if (sight !== null && sight.waiting > 0 && sight.held >= sight.limit) {
    return `all ${sight.limit} slots are taken, and ${sight.waiting} transactions wait`
  }
  return null
}
