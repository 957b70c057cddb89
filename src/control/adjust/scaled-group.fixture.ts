import {
  NEW_UNIT,
  noteChange,
  noteSample,
  planScale,
  type ScaleLimits,
  type ScaleVerdict,
  type UnitMemory,
} from '../scaling/scale-plan.ts'
import type { ScaleUnit, UnitShard } from '../scaling/scale-unit.ts'
import { OBJECTIVES, SimulatedShard, SLOTS, TICK_MS } from './load-simulation.fixture.ts'

/** Transactions that would be under way if there were room for all. */
export interface GroupDemand {
  /** Of tier `high`, which stays on the primary. */
  readonly high: number
  /** Reads of tier `medium`, anywhere. */
  readonly medium: number
  /** Reads of tier `low`, on replicas before the primary. */
  readonly low: number
}

export interface GroupOptions {
  readonly replicas: number
  readonly maxShards: number
  readonly limits: ScaleLimits
  readonly readySeconds: number
  /** False: the plan does not hear of appeals. */
  readonly hearsAppeals?: boolean
}

export interface GroupChange {
  readonly second: number
  readonly action: 'add' | 'remove'
  readonly reason: string
  readonly shards: number
}

/** For tests: a primary and its replicas, each on a ladder of its own, and the plan for their number. */
export class ScaledGroup {
  readonly changes: GroupChange[] = []
  readonly #options: GroupOptions
  readonly #primary = new SimulatedShard()
  #replicas: readonly SimulatedShard[]
  #memory: UnitMemory = NEW_UNIT
  #second = 0
  #readyAt: number | null = null

  constructor(options: GroupOptions) {
    this.#options = options
    this.#replicas = Array.from({ length: options.replicas }, () => new SimulatedShard())
  }

  get shards(): number {
    return 1 + this.#replicas.length
  }

  /** What high transactions wait on the primary under this demand. Milliseconds. */
  highWaitMs(demand: GroupDemand): number {
    return this.#primary.sight(this.#demands(demand)[0] ?? []).tiers[0]?.waitMs ?? 0
  }

  run(demand: GroupDemand, seconds: number): this {
    for (let second = 0; second < seconds; second++) this.#step(demand)
    return this
  }

  #step(demand: GroupDemand): void {
    const { limits, readySeconds } = this.#options
    const now = this.#second * 1000
    if (this.#readyAt !== null && this.#second >= this.#readyAt) {
      this.#readyAt = null
      this.#replicas = [...this.#replicas, new SimulatedShard()]
      this.#memory = noteChange(this.#memory, 'out', limits, now)
    }
    const demands = this.#demands(demand)
    for (const [index, shard] of [this.#primary, ...this.#replicas].entries()) {
      shard.run(demands[index] ?? [], (2 * TICK_MS) / 1000)
    }
    const unit = this.#unit(demands)
    this.#memory = noteSample(this.#memory, unit, limits, now)
    const budget = { spentHours: 0, readyMs: readySeconds * 1000 }
    this.#obey(planScale(unit, this.#memory, limits, budget, now))
    this.#second++
  }

  #obey(verdict: ScaleVerdict): void {
    const { limits, readySeconds } = this.#options
    if (verdict.action === 'none') return
    if (verdict.action === 'add') this.#readyAt = this.#second + readySeconds
    else {
      this.#replicas = this.#replicas.slice(0, -1)
      this.#memory = noteChange(this.#memory, 'in', limits, this.#second * 1000)
    }
    const { action, reason } = verdict
    this.changes.push({ second: this.#second, action, reason, shards: this.shards + (action === 'add' ? 1 : 0) })
  }

  /** By shard, the primary first: low reads go there when all slots of the replicas are taken, as with the router. */
  #demands({ high, medium, low }: GroupDemand): readonly (readonly number[])[] {
    const count = this.#replicas.length
    const ofMedium = medium / (count + 1)
    if (count === 0) return [[high, medium, low, 0]]
    const most = SLOTS / 2
    const isFull = ofMedium + Math.min(low / count, most) >= SLOTS
    const fits = isFull ? Math.min(low, Math.max(0, count * (SLOTS - ofMedium))) : low
    const replica = [0, ofMedium, fits / count, 0]
    return [[high, ofMedium, low - fits, 0], ...this.#replicas.map(() => replica)]
  }

  #unit(demands: readonly (readonly number[])[]): ScaleUnit {
    const { replicas, maxShards, hearsAppeals = true } = this.#options
    const sights = [this.#primary, ...this.#replicas].map((shard, index) => shard.sight(demands[index] ?? []))
    const waits = sights.map(({ tiers }) => tiers[1]?.waitMs ?? 0)
    const shards = [this.#primary, ...this.#replicas].map(({ ladder }, index): UnitShard => {
      const appeal = ladder.appeal
      // High alone cannot be helped by a replica.
      const isHeard = hearsAppeals && appeal !== null && !(appeal.isAlone && appeal.tier === 0)
      return {
        name: `shard-${index}`,
        isPrimary: index === 0,
        state: 'serving',
        isAdded: index > replicas,
        slots: SLOTS,
        busy: (sights[index]?.tiers ?? []).reduce((sum, { held }) => sum + held, 0),
        appeal: isHeard ? appeal.reason : null,
      }
    })
    const starting: UnitShard = {
      ...{ name: 'next', isPrimary: false, state: 'starting', isAdded: true },
      ...{ slots: SLOTS, busy: 0, appeal: null },
    }
    return {
      ...{ group: 'main', pool: null, obstacle: null, minShards: 1, maxShards },
      shards: this.#readyAt === null ? shards : [...shards, starting],
      tiers: [
        {
          ...{ tier: 'medium', objectiveMs: OBJECTIVES[1] ?? 0 },
          ...{ onPrimaryMs: waits[0] ?? 0, onReplicasMs: Math.max(0, ...waits.slice(1)) },
        },
      ],
    }
  }
}
