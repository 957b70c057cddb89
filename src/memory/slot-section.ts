import type { Region } from './region.ts'

/**
 * What a connection needs to go on, twice in its slot: one copy is of the last step that was committed, the other is being
 * written, or is older. A copy's stamp is the number of the step that it is of; a successor takes the one with the highest
 * stamp that is not higher than the last committed step.
 *
 * A copy of a client's section is written whole whenever a step has touched it, so it holds numbers only; whatever is
 * longer lies in a buffer whose handle is here.
 */
export const SECTION_BYTES = 128

/** i32 indexes within a section; f64 fields take two, and are at an even index. Clients and servers share the first ones. */
export const SECTION = {
  /** f64: the step that this copy is of. */
  stamp: 0,
  /** f64: bytes of the peer that have been dealt with, or lie in the inbox. */
  read: 2,
  /** f64: the total when all that was written until then, the outbox included, has left. */
  written: 4,
  inboxHandle: 6,
  inboxBytes: 7,
  outboxHandle: 8,
  outboxStart: 9,
  outboxBytes: 10,
  state: 11,
  flags: 12,
  /** Bytes still to come of a message whose first part has been passed on. */
  body: 13,
  /** Slot + 1 of the other side, 0: none. */
  peer: 14,
  /** A buffer with what numbers cannot say, as JSON. */
  extraHandle: 15,
  extraBytes: 16,
  /** The first word that clients and servers use each in their own way. */
  own: 17,
} as const

const WORDS = SECTION_BYTES >> 2

/** First i32 of the copy to write for the next step: the one that is older. `offset`: of both copies, in bytes, in the slot. */
export function nextSection(region: Region, slot: number, offset: number): number {
  const i = slot * (region.recordBytes >> 2) + (offset >> 2)
  const { f64 } = region
  return (f64[i >> 1] as number) <= (f64[(i + WORDS) >> 1] as number) ? i : i + WORDS
}

/** First i32 of the copy that holds after the step `committed`; −1 when there is none. */
export function heldSection(region: Region, slot: number, offset: number, committed: number): number {
  const i = slot * (region.recordBytes >> 2) + (offset >> 2)
  let best = -1
  let bestStamp = 0
  for (const at of [i, i + WORDS]) {
    const stamp = region.f64[at >> 1] as number
    if (stamp <= bestStamp || stamp > committed) continue
    best = at
    bestStamp = stamp
  }
  return best
}

/**
 * The same for good: a copy of a step that was never committed is forgotten, because steps to come have its number. To be called
 * before there are any.
 */
export function recoverSection(region: Region, slot: number, offset: number, committed: number): number {
  const i = slot * (region.recordBytes >> 2) + (offset >> 2)
  for (const at of [i, i + WORDS]) if ((region.f64[at >> 1] as number) > committed) region.f64[at >> 1] = 0
  return heldSection(region, slot, offset, committed)
}

/** A section of which nothing is known but its `state`, as it was after the step `committed`, which is not 0. */
export function beginSection(region: Region, slot: number, offset: number, state: number, committed: number): void {
  const at = nextSection(region, slot, offset)
  region.i32.fill(0, at, at + WORDS)
  region.i32[at + SECTION.state] = state
  region.f64[at >> 1] = committed
}

/** From now on there is nothing to go on with. */
export function dropSections(region: Region, slot: number, offset: number): void {
  const i = slot * (region.recordBytes >> 2) + (offset >> 2)
  region.f64[i >> 1] = 0
  region.f64[(i + WORDS) >> 1] = 0
}

/** `next` becomes like `held` but for its stamp. */
export function copySection(region: Region, held: number, next: number): void {
  region.i32.copyWithin(next + 2, held + 2, held + WORDS)
}
