import { readShardLoad, type ShardLoadView } from '../../memory/shard-records.ts'
import type { SharedState } from '../../memory/shared-state.ts'
import type { Policy } from '../../shard/policy.ts'
import type { ShardAdjustment } from '../../shard/shard-adjustment.ts'
import type { Shard } from '../../shard/topology.ts'
import type { EventSink } from '../events/event-log.ts'
import type { Monitor } from '../monitor/monitor.ts'
import { strainOf } from '../monitor/strain.ts'
import type { AnsweredCommand } from '../plane-link/plane-connection.ts'
import type { PlaneLink } from '../plane-link/plane-link.ts'
import type { Appeal } from '../scaling/appeal.ts'
import { adjustmentOf } from './adjustment-of.ts'
import { climb, GROUND, type Ladder, type LadderSettings, STEPS, wantsCancel } from './ladder.ts'
import { pressureOn } from './pressure.ts'
import { ShardWindow } from './shard-window.ts'
import { stepText } from './step-text.ts'

/** What the operator says of it. */
export interface AdjusterSettings {
  readonly mode: 'off' | 'dry-run' | 'on'
  readonly patienceMs: number
  readonly calmMs: number
  /** Reads of lower tiers that have run for longer may be cancelled; 0: none. */
  readonly cancelReadsMs: number
  /** Most milliseconds that transactions of each tier should wait, in the order of `TIERS`; 0: any time. */
  readonly objectives: readonly number[]
}

/** What the adjuster looks at, and what it acts through. */
export interface AdjusterOptions {
  readonly memory: SharedState
  readonly monitor: Pick<Monitor, 'topology' | 'reports' | 'setAdjustments'>
  readonly link: Pick<PlaneLink, 'ask'>
  readonly policy: () => Policy
  readonly settings: () => AdjusterSettings
  readonly events: EventSink
  /** Monotonic milliseconds. */
  readonly now: () => number
}

interface Adjusted {
  window: ShardWindow
  ladder: Ladder
  /** That it needs a further shard has been told since the last step. */
  isAppealTold: boolean
}

const LOOK_MS = 500

/**
 * Looks at every shard twice a second, and takes from lower tiers what higher ones need: see `STEPS`. Planes hear of it with
 * the topology. Runs from `start` to `stop`; a control process that begins anew begins with nothing taken.
 */
export class Adjuster {
  readonly #options: AdjusterOptions
  readonly #shards = new Map<number, Adjusted>()
  #timer: NodeJS.Timeout | null = null
  #isCancelling = false

  constructor(options: AdjusterOptions) {
    this.#options = options
  }

  start(): void {
    this.#timer ??= setInterval(() => this.look(), LOOK_MS)
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#timer = null
  }

  /** Shards that want a further one beside them, by id. In a dry run nothing was taken, so none does. */
  get appeals(): ReadonlyMap<number, Appeal> {
    const appeals = new Map<number, Appeal>()
    if (this.#options.settings().mode !== 'on') return appeals
    for (const [id, { ladder }] of this.#shards) if (ladder.appeal !== null) appeals.set(id, ladder.appeal)
    return appeals
  }

  /** One look at all shards. */
  look(): void {
    const { monitor, settings } = this.#options
    const { mode } = settings()
    if (mode === 'off') {
      if (this.#shards.size === 0) return
      this.#shards.clear()
      monitor.setAdjustments(new Map())
      return
    }
    const { shards } = monitor.topology
    for (const id of this.#shards.keys()) if (!shards.some((shard) => shard.id === id)) this.#shards.delete(id)
    const adjustments = new Map<number, ShardAdjustment>()
    for (const shard of shards) {
      const views = this.#views(shard.id)
      if (views.length === 0) continue
      const ladder = this.#climb(shard, views)
      const slots = Math.max(...views.map(({ limit }) => limit))
      const adjustment = adjustmentOf(ladder, this.#options.policy().tiers, slots, settings().objectives)
      if (adjustment !== null && mode === 'on') adjustments.set(shard.id, adjustment)
    }
    monitor.setAdjustments(adjustments)
  }

  #views(shard: number): readonly ShardLoadView[] {
    const { shards, geometry } = this.#options.memory
    const planes = Array.from({ length: geometry.planes }, (_, plane) => readShardLoad(shards, plane, shard))
    return planes.filter((view) => view !== null)
  }

  #climb(shard: Shard, views: readonly ShardLoadView[]): Ladder {
    const { now, settings, monitor } = this.#options
    const { objectives } = settings()
    const adjusted = this.#shards.get(shard.id) ?? { window: new ShardWindow(), ladder: GROUND, isAppealTold: false }
    this.#shards.set(shard.id, adjusted)
    const tiers = adjusted.window.look(views, now())
    const report = monitor.reports().find((each) => each.shard === shard.id)
    // That all slots are taken is no reason: those who have an objective are seen to by that.
    const overload = report?.health === 'overloaded' ? strainOf(report.load, null) : null
    const before = adjusted.ladder
    const pressure = pressureOn({ tiers, overload }, objectives, before.protects)
    adjusted.ladder = climb(before, pressure, this.#ladderSettings(), now())
    if (adjusted.ladder.step !== before.step) {
      // What was before the step says nothing of what came of it.
      adjusted.window = new ShardWindow()
      adjusted.isAppealTold = adjusted.ladder.step === 'ask'
      this.#tell(shard, before, adjusted.ladder)
    }
    this.#tellAppeal(shard, adjusted)
    if (wantsCancel(adjusted.ladder, this.#ladderSettings(), now())) void this.#cancel(shard, adjusted)
    return adjusted.ladder
  }

  #ladderSettings(): LadderSettings {
    const { patienceMs, calmMs, cancelReadsMs } = this.#options.settings()
    return { patienceMs, calmMs, cancels: cancelReadsMs > 0 }
  }

  #tell({ name }: Shard, before: Ladder, after: Ladder): void {
    const isWorse = STEPS.indexOf(after.step) > STEPS.indexOf(before.step)
    this.#publish(name, isWorse ? 'warn' : 'info', stepText(name, before, after), after.reason)
  }

  /** Of a shard that has no step left although it is not on the last one. */
  #tellAppeal({ name }: Shard, adjusted: Adjusted): void {
    const { appeal } = adjusted.ladder
    if (appeal === null || adjusted.isAppealTold) return
    adjusted.isAppealTold = true
    this.#publish(name, 'warn', `${name} needs a further shard beside it`, appeal.reason)
  }

  #publish(shard: string, level: 'info' | 'warn', what: string, reason: string): void {
    const isDry = this.#options.settings().mode === 'dry-run'
    this.#options.events.publish({ kind: 'adjustment', level, shard, what: isDry ? `dry run: ${what}` : what, reason })
  }

  /** Of the lowest tier first, and never one that is protected or promised something. */
  async #cancel(shard: Shard, adjusted: Adjusted): Promise<void> {
    const { settings, now } = this.#options
    const { mode, cancelReadsMs, objectives } = settings()
    if (this.#isCancelling) return
    adjusted.ladder = { ...adjusted.ladder, cancelledAt: now() }
    const { protects, reason } = adjusted.ladder
    const codes = objectives.flatMap((objective, tier) => (tier > protects && objective === 0 ? [tier] : []))
    const command = { op: 'cancel-read', shard: shard.id, tiers: codes.reverse(), longerThanMs: cancelReadsMs } as const
    this.#isCancelling = true
    const isDone = mode === 'dry-run' || (await this.#cancelOne(command))
    this.#isCancelling = false
    const what = `the longest read of a lower tier on ${shard.name} is cancelled`
    if (isDone) this.#publish(shard.name, 'warn', what, reason)
  }

  /** Asks the planes one after the other, until one has such a read. */
  async #cancelOne(command: AnsweredCommand): Promise<boolean> {
    const { link, memory } = this.#options
    for (let plane = 0; plane < memory.geometry.planes; plane++) {
      try {
        await link.ask(plane, command)
        return true
      } catch {
        // It has none that has run for so long, or is not there.
      }
    }
    return false
  }
}
