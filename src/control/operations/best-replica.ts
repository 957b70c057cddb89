import type { Shard } from '../../shard/topology.ts'
import type { Lsn } from '../../util/lsn.ts'
import type { OperationWorld } from './operation.ts'

/** A replica that may be promoted. */
export interface Candidate {
  readonly shard: Shard
  /** The log that it has; null: it does not say. */
  readonly received: Lsn | null
}

/** The one with the most log, the first of those with the same; one that does not say how much comes last. */
export function chooseCandidate(candidates: readonly Candidate[]): Candidate | null {
  let best: Candidate | null = null
  for (const candidate of candidates) {
    if (best === null || (candidate.received ?? -1n) > (best.received ?? -1n)) best = candidate
  }
  return best
}

/** What was found among the replicas of a group; null: there is none. */
export interface Survey {
  /** Has been promoted already. */
  readonly primary: Shard | null
  readonly best: Shard | null
}

/** Asks each of a group's shards what it is and how much of the log it has; those that do not answer are left out. */
export async function surveyReplicas(world: OperationWorld, shards: readonly Shard[]): Promise<Survey> {
  let primary: Shard | null = null
  const candidates: Candidate[] = []
  const positions = await Promise.all(
    shards.map(async (shard) => {
      try {
        return { shard, position: await world.driver(shard).position(shard.name) }
      } catch (error) {
        world.say(`${shard.name} cannot be promoted: ${error instanceof Error ? error.message : String(error)}.`)
        return null
      }
    }),
  )
  for (const answer of positions) {
    if (answer === null) continue
    if (answer.position?.isInRecovery === false) primary = answer.shard
    else candidates.push({ shard: answer.shard, received: answer.position?.received ?? null })
  }
  return { primary, best: chooseCandidate(candidates)?.shard ?? null }
}
