import type { Policy } from '../../shard/policy.ts'
import { TIERS, type Tier } from '../../shard/tier.ts'
import type { SimulatedShard } from './simulated-shard.ts'
import type { Work } from './work.ts'

/** What a tier got. Waits are in milliseconds, of those that began; 0 when they did not have to wait. */
export interface TierOutcome {
  readonly tier: Tier
  readonly transactions: number
  readonly meanWaitMs: number
  readonly p50WaitMs: number
  readonly p99WaitMs: number
  readonly maxWaitMs: number
  /** Sent away because too many waited already. */
  readonly refused: number
  /** Waited as long as they may. */
  readonly timedOut: number
  /** Cut off at the tier's limit for transactions. */
  readonly cancelled: number
}

/** What a shard met in the simulation. */
export interface ShardOutcome {
  readonly shard: string
  readonly transactions: number
  readonly slots: number
  /** Part of the slots in use, on the average over the time. */
  readonly load: number
  readonly mostBusy: number
}

/** What recorded work met under one policy, in simulated time. */
export interface Outcome {
  readonly durationMs: number
  readonly transactions: number
  readonly tiers: readonly TierOutcome[]
  readonly shards: readonly ShardOutcome[]
}

/** Counts what becomes of transactions. Tiers are given as their codes. */
export class Tally {
  readonly #waits: number[][]
  readonly #refused: number[]
  readonly #timedOut: number[]
  readonly #cancelled: number[]

  constructor({ tiers }: Policy) {
    this.#waits = tiers.map(() => [])
    this.#refused = tiers.map(() => 0)
    this.#timedOut = tiers.map(() => 0)
    this.#cancelled = tiers.map(() => 0)
  }

  began(tier: number, waitMs: number, isCancelled: boolean): void {
    this.#waits[tier]?.push(waitMs)
    if (isCancelled) add(this.#cancelled, tier)
  }

  refused(tier: number): void {
    add(this.#refused, tier)
  }

  timedOut(tier: number): void {
    add(this.#timedOut, tier)
  }

  outcome(work: Work, shards: readonly SimulatedShard[], elapsedMs: number): Outcome {
    const durationMs = Math.max(work.durationMs, elapsedMs)
    return {
      durationMs,
      transactions: work.transactions.length,
      tiers: TIERS.map((tier, code) => this.#tier(tier, code)),
      shards: shards.map(({ shard, transactions, busyMs, mostBusy, admission }) => ({
        shard: shard.name,
        transactions,
        slots: admission.limit,
        load: durationMs === 0 ? 0 : busyMs / durationMs / admission.limit,
        mostBusy,
      })),
    }
  }

  #tier(tier: Tier, code: number): TierOutcome {
    const waits = Float64Array.from(this.#waits[code] ?? []).sort()
    const sum = waits.reduce((total, wait) => total + wait, 0)
    const at = (share: number): number => waits[Math.min(waits.length - 1, Math.floor(waits.length * share))] ?? 0
    return {
      tier,
      transactions: waits.length,
      meanWaitMs: waits.length === 0 ? 0 : sum / waits.length,
      p50WaitMs: at(0.5),
      p99WaitMs: at(0.99),
      maxWaitMs: waits.at(-1) ?? 0,
      refused: this.#refused[code] ?? 0,
      timedOut: this.#timedOut[code] ?? 0,
      cancelled: this.#cancelled[code] ?? 0,
    }
  }
}

function add(counts: number[], code: number): void {
  counts[code] = (counts[code] ?? 0) + 1
}
