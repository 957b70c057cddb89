/**
 * The preservation report: what became of every connection at an event of ours, why, and how long it waited. Written by the
 * plane that took the connections over, read in the console (`SHOW PRESERVATION`) and over HTTP.
 */

import type { DroppedClient, OutcomeBatch, PreservationEvent, PreservationSummary } from '../memory/preservation.ts'

/** What became of one client. */
export type ClientOutcome =
  | { readonly kept: true; readonly slot: number; readonly generation: number }
  | { readonly kept: false; readonly client: DroppedClient }

/** One plane's change from a process to the next. */
export interface TakeOver {
  readonly event: PreservationEvent
  readonly plane: number
  /** Monotonic milliseconds: when its clients began to wait, and when they could go on. */
  readonly beganAt: number
  readonly endedAt: number
}

/** The sums of a take-over's outcomes. */
export function summarise(takeOver: TakeOver, outcomes: Iterable<ClientOutcome>): PreservationSummary {
  const reasons: Record<string, number> = {}
  let kept = 0
  let dropped = 0
  let told = 0
  for (const outcome of outcomes) {
    if (outcome.kept) {
      kept++
      continue
    }
    const { reason, told: wasTold } = outcome.client
    dropped++
    if (wasTold) told++
    reasons[reason] = (reasons[reason] ?? 0) + 1
  }
  const { event, plane, beganAt, endedAt } = takeOver
  const stallMs = Math.max(0, Math.round((endedAt - beganAt) * 10) / 10)
  return { event, plane, beganAt, stallMs, kept, dropped, told, reasons }
}

/** `it was leaving: 2, its login was not over: 1`, the most frequent first; empty when nobody was dropped. */
export function reasonsText({ reasons }: Pick<PreservationSummary, 'reasons'>): string {
  return Object.entries(reasons)
    .sort(([, a], [, b]) => b - a)
    .map(([reason, clients]) => `${reason}: ${clients}`)
    .join(', ')
}

const KEPT_PER_BATCH = 2_000
const DROPPED_PER_BATCH = 100

export function* outcomeBatches(outcomes: readonly ClientOutcome[]): Generator<OutcomeBatch> {
  const kept = outcomes.flatMap((outcome) => (outcome.kept ? [outcome.slot, outcome.generation] : []))
  for (let at = 0; at < kept.length; at += 2 * KEPT_PER_BATCH) yield { kept: kept.slice(at, at + 2 * KEPT_PER_BATCH) }
  const dropped = outcomes.flatMap((outcome) => (outcome.kept ? [] : [outcome.client]))
  for (let at = 0; at < dropped.length; at += DROPPED_PER_BATCH) {
    yield { dropped: dropped.slice(at, at + DROPPED_PER_BATCH) }
  }
}
