import {
  NEW_UNIT,
  noteChange,
  noteSample,
  planScale,
  type ScaleLimits,
  type ScaleVerdict,
  type UnitMemory,
} from './scale-plan.ts'
import type { ScaleUnit, TierWait, UnitShard } from './scale-unit.ts'

export const LIMITS: ScaleLimits = {
  sustainMs: 10_000,
  idleMs: 120_000,
  cooldownOutMs: 30_000,
  cooldownInMs: 60_000,
  shardHours: 0,
}

/** What clients want, second by second: transactions that would be under way if there were room for all. */
export type Demand = (second: number) => { readonly reads: number; readonly writes: number }

export interface SimulationOptions {
  readonly demand: Demand
  readonly seconds: number
  readonly replicas: number
  readonly minShards: number
  readonly maxShards: number
  readonly readySeconds: number
  /** Of each shard. */
  readonly slots: number
  readonly limits?: Partial<ScaleLimits>
  /** From −1 to 1, once a second. */
  readonly noise?: (second: number) => number
  /** Says whether the attempt to make a shard at this second fails. */
  readonly fails?: (second: number) => boolean
}

export interface Change {
  readonly second: number
  readonly verdict: Exclude<ScaleVerdict, { action: 'none' }>
  /** Shards of the unit, the primary included, once it was done. */
  readonly shards: number
}

/** Noise of the demand at the most. */
const NOISE = 0.1
const DAY_S = 86_400

/** A group of servers under a load, and the plan at work on it: waits grow as `use / (1 − use)` does in any queue. */
export class ScaleSimulation {
  readonly changes: Change[] = []
  readonly reasons: string[] = []
  /** Seconds in which reads had no room, on average. */
  overloaded = 0
  /** Of added shards. */
  hours = 0
  shards = 0
  readonly #options: SimulationOptions
  readonly #limits: ScaleLimits
  #memory: UnitMemory = NEW_UNIT
  #added = 0
  #readyAt: number | null = null
  readonly #lived: number[] = []
  #spentHours = 0

  constructor(options: SimulationOptions) {
    this.#options = options
    this.#limits = { ...LIMITS, ...options.limits }
    this.shards = 1 + options.replicas
  }

  run(): this {
    for (let second = 0; second < this.#options.seconds; second++) this.#step(second)
    return this
  }

  #step(second: number): void {
    const { demand, noise, minShards, maxShards } = this.#options
    this.#arrive(second)
    const factor = 1 + NOISE * (noise?.(second) ?? 0)
    const { reads, writes } = demand(second)
    if (reads > Math.max(1, this.shards - 1) * this.#options.slots) this.overloaded++
    const unit = this.#unit(reads * factor, writes * factor)
    this.hours += this.#added / 3600
    this.#lived.push(this.#added / 3600)
    this.#spentHours += this.#added / 3600 - (this.#lived[second - DAY_S] ?? 0)
    const spentHours = this.#spentHours
    this.#memory = noteSample(this.#memory, { ...unit, minShards, maxShards }, this.#limits, second * 1000)
    const readyMs = this.#options.readySeconds * 1000
    const verdict = planScale(unit, this.#memory, this.#limits, { spentHours, readyMs }, second * 1000)
    if (verdict.reason !== this.reasons.at(-1)) this.reasons.push(verdict.reason)
    this.#obey(verdict, second)
  }

  #arrive(second: number): void {
    if (this.#readyAt === null || second < this.#readyAt) return
    this.#readyAt = null
    const hasFailed = this.#options.fails?.(second) === true
    if (!hasFailed) {
      this.shards++
      this.#added++
    }
    this.#memory = noteChange(this.#memory, hasFailed ? 'failed' : 'out', this.#limits, second * 1000)
  }

  #obey(verdict: ScaleVerdict, second: number): void {
    if (verdict.action === 'none') return
    if (verdict.action === 'add') this.#readyAt = second + this.#options.readySeconds
    else {
      this.shards--
      this.#added--
      this.#memory = noteChange(this.#memory, 'in', this.#limits, second * 1000)
    }
    const shards = this.shards + (verdict.action === 'add' ? 1 : 0)
    this.changes.push({ second, verdict, shards })
  }

  #unit(reads: number, writes: number): ScaleUnit {
    const { slots, minShards, maxShards } = this.#options
    const replicas = this.shards - 1
    const onReplicas = replicas === 0 ? 0 : reads / (replicas * slots)
    const onPrimary = (writes + (replicas === 0 ? reads : Math.max(0, reads - replicas * slots))) / slots
    const tier: TierWait = {
      tier: 'medium',
      objectiveMs: 50,
      onReplicasMs: waitMs(onReplicas),
      onPrimaryMs: waitMs(onPrimary),
    }
    const shard = (name: string, use: number, isAdded: boolean): UnitShard => {
      const busy = Math.min(slots, Math.round(use * slots))
      return { name, isPrimary: name === 'primary', state: 'serving', isAdded, slots, busy, appeal: null }
    }
    const idle = { slots, busy: 0, appeal: null }
    const starting: UnitShard = { name: 'next', isPrimary: false, state: 'starting', isAdded: true, ...idle }
    const members = Array.from({ length: replicas }, (_, index) =>
      shard(`replica-${index + 1}`, onReplicas, index >= replicas - this.#added),
    )
    const shards = [shard('primary', onPrimary, false), ...members, ...(this.#readyAt === null ? [] : [starting])]
    return { group: 'main', pool: null, shards, tiers: [tier], obstacle: null, minShards, maxShards }
  }
}

/** At p99, of transactions that take a few milliseconds. */
function waitMs(use: number): number {
  return use >= 1 ? 1000 : use < 0.5 ? 0 : (2 * use) / (1 - use)
}
