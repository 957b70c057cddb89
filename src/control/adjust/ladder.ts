import type { Appeal } from '../scaling/appeal.ts'
import type { Pressure } from './pressure.ts'

/**
 * What is done for a tier that is pressed on a shard, one after the other, and taken back in the reverse order.
 *
 * - none.
 * - lend-less: reservations of the tier, and of those above it, are kept, not lent.
 * - shrink: and tiers below it that are promised nothing have half of their slots.
 * - queue: and those have one slot, so that they wait; those below it that are promised something have half of theirs.
 * - cancel: and the longest read of the lowest tier that runs for too long is cancelled. Only where the operator allows it.
 * - ask: and a further shard is asked for.
 */
export const STEPS = ['none', 'lend-less', 'shrink', 'queue', 'cancel', 'ask'] as const

export type Step = (typeof STEPS)[number]

/** How patient the ladder is, and how far it goes. */
export interface LadderSettings {
  /** Pressure has to last for so long before the next step. */
  readonly patienceMs: number
  /** It has to be calm for so long before a step is taken back. */
  readonly calmMs: number
  /** Reads may be cancelled. */
  readonly cancels: boolean
}

/** Where a shard stands on the ladder. Times are monotonic milliseconds. */
export interface Ladder {
  readonly step: Step
  /** Code of the tier that it is for; −1 while nothing is done. */
  readonly protects: number
  /** Why the present step was taken, one phrase. */
  readonly reason: string
  readonly changedAt: number
  /** Since when it has been pressed, or calm, without a break; null: it is not. */
  readonly pressedSince: number | null
  readonly calmSince: number | null
  /** How much longer than `calmMs` it has to be calm: doubles whenever a step was taken back too early. */
  readonly caution: number
  /** When a step was taken back last. */
  readonly releasedAt: number
  /** When a read was cancelled last, or it was tried. */
  readonly cancelledAt: number
  /** All that may be taken from lower tiers is taken, and it is not enough; null: there are steps left, or it is. */
  readonly appeal: Appeal | null
}

/** Pressure so soon after a step was taken back says that it was too early. */
const RELAPSE_MS = 30_000
const MOST_CAUTION = 32
/** From one cancelled read to the next. */
const CANCEL_PAUSE_MS = 10_000
/** As long as nobody waits too long, lower tiers are not made to stand still. */
const FURTHEST_FOR_STRAIN: Step = 'shrink'

export const GROUND: Ladder = Object.freeze({
  step: 'none',
  protects: -1,
  reason: '',
  changedAt: Number.NEGATIVE_INFINITY,
  pressedSince: null,
  calmSince: null,
  caution: 1,
  releasedAt: Number.NEGATIVE_INFINITY,
  cancelledAt: Number.NEGATIVE_INFINITY,
  appeal: null,
})

/** Where the shard stands after one more look. Pure: the same for the same arguments. */
export function climb(before: Ladder, pressure: Pressure, settings: LadderSettings, now: number): Ladder {
  switch (pressure.kind) {
    case 'near':
      return { ...before, pressedSince: null, calmSince: null, appeal: null }
    case 'calm':
      return relax({ ...before, pressedSince: null, calmSince: before.calmSince ?? now, appeal: null }, settings, now)
    case 'strained':
    case 'pressed':
    case 'bare':
      return press({ ...before, calmSince: null, pressedSince: before.pressedSince ?? now }, pressure, settings, now)
  }
}

/** Whether a read should be cancelled at this moment. */
export function wantsCancel(
  { step, pressedSince, cancelledAt }: Ladder,
  settings: LadderSettings,
  now: number,
): boolean {
  const isThere = step === 'cancel' || step === 'ask'
  return settings.cancels && isThere && pressedSince !== null && now - cancelledAt >= CANCEL_PAUSE_MS
}

function press(
  before: Ladder,
  { kind, tier, reason }: Extract<Pressure, { readonly tier: number }>,
  settings: LadderSettings,
  now: number,
): Ladder {
  // A tier above the one that is helped needs more than that one has got.
  const protects = before.protects < 0 ? -1 : Math.min(before.protects, tier)
  const since = Math.max(before.pressedSince ?? now, before.changedAt)
  const isAlone = kind === 'bare'
  const appeal = { tier, reason, isAlone }
  if (before.step === 'ask') return { ...before, protects, appeal }
  if (now - since < settings.patienceMs) return { ...before, protects }
  if (kind === 'strained' && STEPS.indexOf(before.step) >= STEPS.indexOf(FURTHEST_FOR_STRAIN))
    return { ...before, protects, appeal }
  const isRelapse = now - before.releasedAt < RELAPSE_MS
  const caution = isRelapse ? Math.min(MOST_CAUTION, before.caution * 2) : before.step === 'none' ? 1 : before.caution
  // Who has nobody to take from needs another shard.
  const step = isAlone ? 'ask' : stepAfter(before.step, settings)
  const releasedAt = isRelapse ? Number.NEGATIVE_INFINITY : before.releasedAt
  const taken = { step, protects: protects < 0 ? tier : protects, reason, changedAt: now }
  return { ...before, ...taken, caution, releasedAt, appeal: step === 'ask' ? appeal : null }
}

function relax(before: Ladder, settings: LadderSettings, now: number): Ladder {
  if (before.step === 'none') return before
  const since = Math.max(before.calmSince ?? now, before.changedAt)
  if (now - since < settings.calmMs * before.caution) return before
  const step = stepBefore(before.step)
  const protects = step === 'none' ? -1 : before.protects
  return { ...before, step, protects, reason: 'nobody waits for long any more', changedAt: now, releasedAt: now }
}

function stepAfter(step: Step, { cancels }: LadderSettings): Step {
  const next = STEPS[STEPS.indexOf(step) + 1] ?? 'ask'
  return next === 'cancel' && !cancels ? 'ask' : next
}

/** Asking and cancelling take nothing from anybody, so there is nothing to give back. */
function stepBefore(step: Step): Step {
  if (step === 'ask' || step === 'cancel') return 'shrink'
  return STEPS[Math.max(0, STEPS.indexOf(step) - 1)] ?? 'none'
}
