import { type ClientOutcome, outcomeBatches, reasonsText, summarise } from '../continuity/report.ts'
import type { PlaneEvent } from '../memory/control-protocol.ts'
import { LASTING_TOTALS, LOST_KIND, PLANE, PLANE_F64 } from '../memory/plane-records.ts'
import type { OutcomeBatch, PreservationEvent, PreservationSummary } from '../memory/preservation.ts'
import type { Region } from '../memory/region.ts'
import { Timer, type TimerWheel } from '../util/timer-wheel.ts'

/** Names of thousands of clients at once would be more than control is sent without reading. */
const BATCH_EVERY_MS = 5
const FIRST_MS = 50
/** Control may be away. */
const RETRY_MS = 100

/** Of the process that had the plane before. */
export interface Predecessor {
  readonly event: PreservationEvent
  /** Monotonic milliseconds: from here on its clients waited. */
  readonly lostAt: number
}

/**
 * Makes the plane's record that of a new process, with the totals that outlive one. Returns whom it follows; null at the start
 * of the router.
 */
export function renewPlaneRecord(planes: Region, plane: number): Predecessor | null {
  const i = plane * (planes.recordBytes >> 2)
  const f = plane * (planes.recordBytes >> 3)
  const lostKind = planes.i32[i + PLANE.lostKind] ?? 0
  const lasting = LASTING_TOTALS.map((name) => [f + PLANE_F64[name], planes.f64[f + PLANE_F64[name]] ?? 0] as const)
  planes.clear(plane)
  for (const [at, total] of lasting) planes.f64[at] = total
  if (lostKind === 0) return null
  return {
    event: lostKind === LOST_KIND.released ? 'upgrade' : 'plane-crash',
    lostAt: planes.f64[f + PLANE_F64.lostAt] ?? 0,
  }
}

export interface TakeOverReportHost {
  readonly now: number
  readonly timers: TimerWheel
  readonly planes: Region
  readonly planeIndex: number
  /** Control listens. */
  readonly isHeard: boolean
  tell(event: PlaneEvent): void
}

/** Writes the sums of a take-over into the plane's record, and tells control, as soon as it listens and in pieces, what became of each client. */
export class TakeOverReport {
  readonly #host: TakeOverReportHost
  readonly #timer: Timer
  #beganAt = 0
  /** Null: told, or there is none. */
  #summary: PreservationSummary | null = null
  #batches: Iterator<OutcomeBatch> | null = null

  constructor(host: TakeOverReportHost) {
    this.#host = host
    this.#timer = new Timer(() => this.#sendNext())
  }

  /** Everybody who was kept can go on from now on. Control hears of it a moment later. */
  send({ event, lostAt }: Predecessor, outcomes: readonly ClientOutcome[]): void {
    const { now, planeIndex } = this.#host
    const summary = summarise({ event, plane: planeIndex, beganAt: lostAt, endedAt: now }, outcomes)
    this.#count(summary)
    this.#summary = summary
    this.#beganAt = lostAt
    this.#batches = outcomeBatches(outcomes)
    // Whoever waited for the take-over comes first.
    this.#host.timers.arm(this.#timer, now + FIRST_MS)
  }

  #sendNext(): void {
    if (!this.#host.isHeard) {
      this.#host.timers.arm(this.#timer, this.#host.now + RETRY_MS)
      return
    }
    const summary = this.#summary
    if (summary !== null) {
      this.#summary = null
      this.#host.tell({ op: 'log', ...logLine(summary) })
      this.#host.tell({ op: 'preserved', summary })
    }
    const next = this.#batches?.next()
    if (next === undefined || next.done === true) return
    const { now, timers, planeIndex } = this.#host
    this.#host.tell({ op: 'preserved-clients', plane: planeIndex, beganAt: this.#beganAt, batch: next.value })
    timers.arm(this.#timer, now + BATCH_EVERY_MS)
  }

  #count({ kept, dropped, stallMs }: PreservationSummary): void {
    const { planes, planeIndex } = this.#host
    const f = planeIndex * (planes.recordBytes >> 3)
    const add = (field: number, count: number): void => {
      planes.f64[f + field] = (planes.f64[f + field] ?? 0) + count
    }
    add(PLANE_F64.takeovers, 1)
    add(PLANE_F64.clientsKept, kept)
    add(PLANE_F64.clientsDropped, dropped)
    planes.f64[f + PLANE_F64.stallMs] = stallMs
  }
}

function logLine(summary: PreservationSummary) {
  const { event, plane, stallMs, kept, dropped, told } = summary
  const happened = event === 'upgrade' ? 'was replaced' : 'died'
  const level = dropped > 0 ? ('warn' as const) : ('info' as const)
  const message = `plane ${plane} ${happened}: ${kept} clients kept, ${dropped} dropped, ${stallMs} ms without service`
  return { level, message, fields: { plane, event, kept, dropped, told, stallMs, reason: reasonsText(summary) } }
}
