import type { Shard } from '../shard/topology.ts'
import type { ShardLoad } from './shard-load.ts'

/** A shard where a read may run. */
export interface Candidate {
  readonly shard: Shard
  readonly isPrimary: boolean
  readonly load: ShardLoad
  /** It is in another zone than the router. */
  readonly isFar: boolean
  /** Since when it is there; before, nobody had its data in memory. */
  readonly since: number
}

/** How much dearer a shard in another zone is. */
const FAR = 3
/** How much dearer a shard is that has too much to do. */
const OVERLOADED = 4
/** The share of a shard that has just come. */
const FIRST_SHARE = 0.1

/** What one more transaction costs there: latency times work in flight, more for one that is new, far or overloaded. */
export function costOf(candidate: Candidate, now: number, slowStartMs: number): number {
  const { load } = candidate
  return (load.peakMs(now) * (load.busy + 1)) / shareOf(candidate, now, slowStartMs)
}

/** How much of the work it should have, beside others: 1, less for one that is new, far or overloaded. */
export function shareOf(
  { since, isFar, shard }: Pick<Candidate, 'shard' | 'since' | 'isFar'>,
  now: number,
  slowStartMs: number,
): number {
  const age = now - since
  const share = age >= slowStartMs ? 1 : Math.max(FIRST_SHARE, age / slowStartMs)
  return share / ((isFar ? FAR : 1) * (shard.health === 'overloaded' ? OVERLOADED : 1))
}

/** Picks one of two at random that may be used, the cheaper one: as good as looking at all, and no herd follows it. */
export class ReplicaChoice {
  readonly #random: () => number
  #first: Candidate | null = null
  #second: Candidate | null = null
  #seen = 0

  /** `random`: at least 0, below 1. */
  constructor(random: () => number) {
    this.#random = random
  }

  begin(): void {
    this.#first = null
    this.#second = null
    this.#seen = 0
  }

  /** It may be used. */
  offer(candidate: Candidate): void {
    const seen = ++this.#seen
    if (seen === 1) this.#first = candidate
    else if (seen === 2) this.#second = candidate
    else {
      const place = Math.floor(this.#random() * seen)
      if (place === 0) this.#first = candidate
      else if (place === 1) this.#second = candidate
    }
  }

  /** Null: nothing was offered. */
  pick(now: number, slowStartMs: number): Candidate | null {
    const first = this.#first
    const second = this.#second
    if (first === null || second === null) return first
    return costOf(second, now, slowStartMs) < costOf(first, now, slowStartMs) ? second : first
  }
}
