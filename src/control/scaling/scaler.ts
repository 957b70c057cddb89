import type { Config } from '../../config/schema.ts'
import type { SharedState } from '../../memory/shared-state.ts'
import type { Topology } from '../../shard/topology.ts'
import type { EventSink } from '../events/event-log.ts'
import type { OperationRequest } from '../operations/operation.ts'
import type { AddedShard } from './added-shard.ts'
import type { AddedShards } from './added-shards.ts'
import type { Appeal } from './appeal.ts'
import { LoadSampler } from './load-sampler.ts'
import {
  NEW_UNIT,
  noteChange,
  noteSample,
  planScale,
  type ScaleLimits,
  type ScaleVerdict,
  type UnitMemory,
} from './scale-plan.ts'
import { type ScaleUnit, unitName } from './scale-unit.ts'
import { scaleUnits } from './scale-units.ts'

/** What the scaler looks at, and what it acts through. */
export interface ScalerOptions {
  readonly added: AddedShards
  readonly memory: SharedState
  readonly topology: () => Topology
  readonly config: () => Config
  readonly isDrained: (shard: string) => boolean
  /** Shards that want another one beside them, by id. */
  readonly appeals: () => ReadonlyMap<number, Appeal>
  /** Whether an operation is at work. */
  readonly isAtWork: () => boolean
  readonly operate: (request: OperationRequest) => Promise<unknown>
  readonly events: EventSink
  /** Monotonic milliseconds. */
  readonly now: () => number
  /** Milliseconds since 1970. */
  readonly wallClock: () => number
}

/** What is thought of one unit, for people. */
export interface ScaleReport {
  readonly unit: ScaleUnit
  readonly verdict: ScaleVerdict
}

/** All that is known of scaling, for people. */
export interface ScalingState {
  readonly mode: Config['scaling']['mode']
  readonly added: readonly AddedShard[]
  readonly reports: readonly ScaleReport[]
}

const LOOK_EVERY_MS = 1_000
/** What an operation that failed has left is seen to after this time, then after twice as long, and so on. */
const FIRST_SWEEP_MS = 2_000
const LONGEST_SWEEP_MS = 600_000

/**
 * Looks once a second at what shards have to do, asks the plan, and gives the operations that follow. What interrupted or
 * failed operations have left behind it clears away, in every mode.
 */
export class Scaler {
  readonly #options: ScalerOptions
  readonly #sampler: LoadSampler
  readonly #units = new Map<string, UnitMemory>()
  readonly #told = new Map<string, string>()
  #reports: readonly ScaleReport[] = []
  #timer: NodeJS.Timeout | null = null
  #sweepAt = 0
  #sweepPauseMs = FIRST_SWEEP_MS

  constructor(options: ScalerOptions) {
    this.#options = options
    this.#sampler = new LoadSampler(options.memory)
  }

  /** The last look, one for each group and each pool with names of shards. */
  get reports(): readonly ScaleReport[] {
    return this.#reports
  }

  start(): void {
    this.#timer = setInterval(() => this.look(), LOOK_EVERY_MS)
    this.#timer.unref()
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#timer = null
  }

  /** A shard serves, or is on its way out, by whomever. */
  noteChange(change: 'out' | 'in', { group, pool }: AddedShard): void {
    for (const key of new Set([keyOf({ group, pool }), keyOf({ group, pool: null })])) {
      this.#keep(key, noteChange(this.#unit(key), change, this.#limits(), this.#options.wallClock()))
    }
  }

  /** One look. */
  look(): void {
    const { config, isAtWork } = this.#options
    const units = this.#unitsNow()
    this.#reports = units.map((unit) => ({ unit, verdict: this.#judge(unit) }))
    if (isAtWork() || this.#sweep()) return
    for (const { unit, verdict } of this.#reports) {
      this.#tell(unit, verdict)
      if (verdict.action !== 'none' && config().scaling.mode === 'auto') {
        void this.#carryOut(unit, verdict)
        return
      }
    }
  }

  #unitsNow(): readonly ScaleUnit[] {
    const { topology, config, added, isDrained, appeals, now } = this.#options
    const samples = this.#sampler.look(
      topology().shards.map(({ id }) => id),
      now(),
    )
    const facts = { config: config(), topology: topology(), added: added.all, samples, appeals: appeals(), isDrained }
    return scaleUnits(facts)
  }

  #judge(unit: ScaleUnit): ScaleVerdict {
    const { added, wallClock } = this.#options
    const at = wallClock()
    const key = keyOf(unit)
    const memory = noteSample(this.#unit(key), unit, this.#limits(), at)
    this.#units.set(key, memory)
    const budget = { spentHours: added.spentHours(at), readyMs: added.readyMs }
    return planScale(unit, memory, this.#limits(), budget, at)
  }

  #limits(): ScaleLimits {
    return this.#options.config().scaling
  }

  #unit(key: string): UnitMemory {
    const known = this.#units.get(key)
    if (known !== undefined) return known
    const kept = this.#options.added.unit(key)
    const time = (at: number): number => (at === 0 ? Number.NEGATIVE_INFINITY : at)
    if (kept === null) return NEW_UNIT
    const { lastOutAt, lastInAt, failedAt } = kept
    const times = { lastOutAt: time(lastOutAt), lastInAt: time(lastInAt), failedAt: time(failedAt) }
    return { ...NEW_UNIT, ...kept, ...times }
  }

  /** What has to outlive this process is written down. */
  #keep(key: string, memory: UnitMemory): void {
    this.#units.set(key, memory)
    const { failures, regrets, fullAt, lastOutAt, lastInAt, failedAt } = memory
    const time = (at: number): number => (at === Number.NEGATIVE_INFINITY ? 0 : at)
    const times = { lastOutAt: time(lastOutAt), lastInAt: time(lastInAt), failedAt: time(failedAt) }
    this.#options.added.keepUnit(key, { failures, regrets, fullAt, ...times })
  }

  /** Each verdict once, not every second. */
  #tell(unit: ScaleUnit, verdict: ScaleVerdict): void {
    const { config, events } = this.#options
    const { mode } = config().scaling
    const key = keyOf(unit)
    if (this.#told.get(key) === verdict.action || mode === 'off') return
    const isFirst = !this.#told.has(key)
    this.#told.set(key, verdict.action)
    // Of what is done, the operations tell.
    if (verdict.action === 'none' && (isFirst || mode === 'auto')) return
    const shard = verdict.action === 'remove' ? verdict.shard : null
    events.publish({ kind: 'scaling', shard, what: wordsOf(unit, verdict, mode), reason: verdict.reason })
  }

  async #carryOut(unit: ScaleUnit, verdict: Exclude<ScaleVerdict, { action: 'none' }>): Promise<void> {
    const { operate, wallClock } = this.#options
    const request: OperationRequest =
      verdict.action === 'add'
        ? { kind: 'scale-out', target: unitName(unit), choice: null }
        : { kind: 'scale-in', shard: verdict.shard }
    try {
      await operate(request)
    } catch (error) {
      const key = keyOf(unit)
      this.#keep(key, noteChange(this.#unit(key), 'failed', this.#limits(), wallClock()))
      this.#report(unit, error)
    }
  }

  #report(unit: ScaleUnit, error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error)
    this.#options.events.publish({ kind: 'scaling', level: 'error', what: `${unitName(unit)} was not scaled`, reason })
  }

  /** Begins to clear one thing away; false: there is nothing, or it is not time yet. */
  #sweep(): boolean {
    const { added, now, operate, events } = this.#options
    const left = added.all.find(({ state }) => state !== 'serving')
    if (left === undefined) {
      this.#sweepPauseMs = FIRST_SWEEP_MS
      this.#sweepAt = now() + FIRST_SWEEP_MS
      return false
    }
    if (now() < this.#sweepAt) return false
    this.#sweepAt = now() + this.#sweepPauseMs
    this.#sweepPauseMs = Math.min(LONGEST_SWEEP_MS, this.#sweepPauseMs * 2)
    const what = `what is left of ${left.name} is cleared away`
    events.publish({ kind: 'scaling', shard: left.name, what, reason: `it is still ${left.state}` })
    operate({ kind: 'scale-in', shard: left.name }).catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error)
      events.publish({
        kind: 'scaling',
        level: 'error',
        shard: left.name,
        what: `${left.name} is not cleared away`,
        reason,
      })
    })
    return true
  }
}

function keyOf({ group, pool }: { readonly group: string; readonly pool: string | null }): string {
  return JSON.stringify(pool === null ? [group] : [group, pool])
}

function wordsOf(unit: ScaleUnit, verdict: ScaleVerdict, mode: 'advise' | 'auto'): string {
  const will = mode === 'auto' ? 'is' : 'would be'
  switch (verdict.action) {
    case 'none':
      return `${unitName(unit)} needs no change`
    case 'add':
      return `a shard ${will} added to ${unitName(unit)}`
    case 'remove':
      return `${verdict.shard} ${will} taken away from ${unitName(unit)}`
  }
}
