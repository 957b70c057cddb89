import type { Tier } from '../../shard/tier.ts'

/** One shard of a unit, as it is at a moment. */
export interface UnitShard {
  readonly name: string
  readonly isPrimary: boolean
  /** `starting`: being made. `draining`: on its way out. `down`: does not answer, or an operator has drained it. */
  readonly state: 'serving' | 'starting' | 'draining' | 'down'
  /** Made by Switchyard for this unit: only such shards are ever taken away from it. */
  readonly isAdded: boolean
  /** Transactions that it may have at once, and has. */
  readonly slots: number
  readonly busy: number
  /** Why lower tiers there cannot give what a higher one lacks, one phrase; null: they can, or no replica would help. */
  readonly appeal: string | null
}

/** How long transactions of a tier waited of late, in milliseconds. */
export interface TierWait {
  readonly tier: Tier
  readonly objectiveMs: number
  /** On replicas, where only reads are. */
  readonly onReplicasMs: number
  /** On the primary, where it may have been for a write. */
  readonly onPrimaryMs: number
}

/** Shards that are added to and taken from together: the replicas of a group, or a pool that the operator has named. */
export interface ScaleUnit {
  readonly group: string
  /** Null: the group. */
  readonly pool: string | null
  readonly shards: readonly UnitShard[]
  /** Tiers with an objective whose reads may run on these shards. */
  readonly tiers: readonly TierWait[]
  /** Why one more replica would help nobody; null: it may help. */
  readonly obstacle: string | null
  readonly minShards: number
  readonly maxShards: number
}

/** What a unit is called: as `SCALE OUT` wants it. */
export function unitName({ group, pool }: Pick<ScaleUnit, 'group' | 'pool'>): string {
  return pool ?? group
}

/** Those that may get work: the replicas, or the primary while there are none. */
export function workingShards({ shards }: ScaleUnit): readonly UnitShard[] {
  const serving = shards.filter(({ state }) => state === 'serving')
  const replicas = serving.filter(({ isPrimary }) => !isPrimary)
  return replicas.length > 0 ? replicas : serving
}

/** The part of their slots that is in use; 0 for no slots. */
export function utilisationOf(shards: readonly UnitShard[]): number {
  const slots = shards.reduce((sum, shard) => sum + shard.slots, 0)
  return slots === 0 ? 0 : shards.reduce((sum, { busy }) => sum + busy, 0) / slots
}
