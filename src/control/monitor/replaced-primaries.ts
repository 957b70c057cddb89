import type { SeenTimeline, SeenTimelines } from './timeline-ledger.ts'

/** A shard that says it is a primary, or said so last. */
export interface KnownPrimary {
  readonly id: number
  readonly name: string
  readonly group: string
  /** Of its log; null: it has not said. */
  readonly timeline: number | null
  /** The database system that its data is of; null: it has not said. */
  readonly system: string | null
}

/** Why a primary is none any more, by shard id. */
export type ReplacedPrimaries = ReadonlyMap<number, string>

/**
 * Primaries that were replaced: another one of their group has a later timeline, which begins when a replica is promoted, or
 * one was seen before, at a shard that is not there now. What is written to them is in nobody else's log, so nothing may be sent
 * there, also while the other one is down. Pure.
 */
export function replacedPrimaries(primaries: readonly KnownPrimary[], seen: SeenTimelines): ReplacedPrimaries {
  const replaced = new Map<number, string>()
  for (const { id, group, timeline, system } of primaries) {
    if (timeline === null) continue
    const later = primaries.find((other) => other.group === group && (other.timeline ?? 0) > timeline)
    const before = seen[group]
    if (later !== undefined) {
      const reason = `it was replaced by ${later.name}, whose timeline is ${later.timeline} (its own: ${timeline})`
      replaced.set(id, `${reason}: make it a replica, or take it out of the configuration`)
    } else if (before !== undefined && before.system === system && before.timeline > timeline) {
      const reason = `it was replaced: timeline ${before.timeline} was seen at ${before.shard} (its own: ${timeline})`
      replaced.set(
        id,
        `${reason}. Start a server that has it; if there is none left, delete ${group} from timelines.json`,
      )
    }
  }
  return replaced
}

/** What a shard says of the history of its data. */
export interface TimelineSight {
  readonly name: string
  readonly group: string
  readonly system: string | null
  readonly timeline: number | null
}

/**
 * What is new to know of each group: a later timeline, or another database system, of which there is no other one in the group. Pure.
 */
export function newTimelines(sights: readonly TimelineSight[], seen: SeenTimelines): ReadonlyMap<string, SeenTimeline> {
  const found = new Map<string, SeenTimeline>()
  for (const { name, group, system, timeline } of sights) {
    if (system === null || timeline === null) continue
    // Of two systems in one group nobody knows which one is meant.
    if (sights.some((other) => other.group === group && other.system !== null && other.system !== system)) continue
    const known = found.get(group) ?? seen[group]
    if (known?.system === system && known.timeline >= timeline) continue
    found.set(group, { system, timeline, shard: name })
  }
  return found
}
