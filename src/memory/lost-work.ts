import { type PLANE_F64, readPlane } from './plane-records.ts'
import type { SharedState } from './shared-state.ts'

/** Totals of planes that say what became of work whose server connection was lost, and what people call them. */
export const LOST_WORK = {
  readsRepeated: 'reads run again',
  replays: 'transactions run again',
  replaysFailed: 'not the same again',
  replaysRefused: 'transactions lost',
  commitsConfirmed: 'COMMITs confirmed',
  commitsAborted: 'COMMITs rolled back',
  commitsUnknown: 'COMMITs unknown',
} as const satisfies Partial<Record<keyof typeof PLANE_F64, string>>

export type LostWorkKind = keyof typeof LOST_WORK
export type LostWorkCounts = Readonly<Record<LostWorkKind, number>>

/** The sums over all planes. */
export function countLostWork({ planes }: SharedState): LostWorkCounts {
  const sums = Object.fromEntries(Object.keys(LOST_WORK).map((kind) => [kind, 0])) as Record<LostWorkKind, number>
  for (let plane = 0; plane < planes.count; plane++) {
    const totals = readPlane(planes, plane)?.totals
    if (totals === undefined) continue
    for (const kind of Object.keys(LOST_WORK) as LostWorkKind[]) sums[kind] += totals[kind]
  }
  return sums
}

/** What has been added to `before`. A plane that was replaced in between has begun anew: never less than nothing. */
export function lostWorkSince(before: LostWorkCounts, now: LostWorkCounts): LostWorkCounts {
  const kinds = Object.keys(LOST_WORK) as LostWorkKind[]
  return Object.fromEntries(kinds.map((kind) => [kind, Math.max(0, now[kind] - before[kind])])) as Record<
    LostWorkKind,
    number
  >
}

/** `transactions run again: 3, COMMITs confirmed: 1`; empty when there was nothing. */
export function lostWorkText(counts: LostWorkCounts | undefined): string {
  if (counts === undefined) return ''
  return (Object.keys(LOST_WORK) as LostWorkKind[])
    .filter((kind) => counts[kind] > 0)
    .map((kind) => `${LOST_WORK[kind]}: ${counts[kind]}`)
    .join(', ')
}
