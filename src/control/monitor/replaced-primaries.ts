/** A shard that says it is a primary, or said so last. */
export interface KnownPrimary {
  readonly id: number
  readonly name: string
  readonly group: string
  /** Of its log; null: it has not said. */
  readonly timeline: number | null
}

/** Why a primary is none any more, by shard id. */
export type ReplacedPrimaries = ReadonlyMap<number, string>

/**
 * Primaries that were replaced: another one of their group has a later timeline, which begins when a replica is promoted. What is written
 * to them now is in nobody else's log, so nothing may be sent there, also while the other one is down. Pure.
 */
export function replacedPrimaries(primaries: readonly KnownPrimary[]): ReplacedPrimaries {
  const replaced = new Map<number, string>()
  for (const { id, group, timeline } of primaries) {
    if (timeline === null) continue
    const later = primaries.find((other) => other.group === group && (other.timeline ?? 0) > timeline)
    if (later === undefined) continue
    const reason = `it was replaced by ${later.name}, whose timeline is ${later.timeline} (its own: ${timeline})`
    replaced.set(id, `${reason}: make it a replica, or take it out of the configuration`)
  }
  return replaced
}
