import type { ShardHealth } from '../../shard/topology.ts'

/**
 * What is believed of one shard.
 *
 * - unknown: not probed yet. `answered`, `failed` or `starting` decide.
 * - starting: it answers again, or says that it starts up or shuts down. Not in use. Ends when it has proved itself with
 *   answers in a row, or with `failed`.
 * - up: in use. `strained` answers for `OVERLOADED_AFTER_MS` make it overloaded.
 * - suspect: an answer is overdue. A primary stays in use, there is nothing else to go to; a replica gets nothing new.
 *   Ends like `starting`.
 * - overloaded: in use; ends when no answer was strained for `RELIEVED_AFTER_MS`.
 * - down: the last probe failed. Only an answer ends it.
 *
 * A shard that leaves soon after it came back has to prove itself twice as long the next time, so that one at the edge
 * does not come and go.
 */
export type HealthState = Exclude<ShardHealth, 'draining'>

/** What a probe found; `reason` is one phrase. */
export type HealthEvent =
  | {
      readonly kind: 'answered'
      readonly reason: string
      /** Why it has too much to do, one phrase; null: it has not. */
      readonly strain: string | null
      /** Answers in a row before it is used again. */
      readonly proofs: number
    }
  /** It says itself that it does not serve yet, or not any more. */
  | { readonly kind: 'starting'; readonly reason: string }
  /** No answer yet, and that takes too long. */
  | { readonly kind: 'overdue'; readonly reason: string }
  | { readonly kind: 'failed'; readonly reason: string }

/** What is known of a shard's health, and since when. */
export interface Health {
  readonly state: HealthState
  /** One phrase: "accepts connections", "connection refused". */
  readonly reason: string
  /** Monotonic milliseconds at which this state began. */
  readonly since: number
  /** Good answers in a row while it has to prove itself. */
  readonly answers: number
  /** Since when answers have said the opposite of the state (strained while up, relaxed while overloaded); null: they do not. */
  readonly contrarySince: number | null
  /** When it came back into use; −Infinity: it has been from the beginning. */
  readonly backAt: number
  /** How often in a row it left soon after it had come back. */
  readonly relapses: number
}

export const OVERLOADED_AFTER_MS = 2_000
export const RELIEVED_AFTER_MS = 5_000
/** Whoever leaves within this time after it came back has relapsed. */
const RELAPSE_MS = 30_000
const MOST_RELAPSES = 5

/** Of a shard that has not been asked yet. */
export function unknownHealth(now: number): Health {
  return {
    state: 'unknown',
    reason: 'not probed yet',
    since: now,
    answers: 0,
    contrarySince: null,
    backAt: Number.NEGATIVE_INFINITY,
    relapses: 0,
  }
}

/** The health after `event`. `now`: monotonic milliseconds. */
export function healthAfter(before: Health, event: HealthEvent, now: number): Health {
  switch (event.kind) {
    case 'answered':
      return afterAnswer(before, event, now)
    case 'starting':
    case 'failed':
      return away(before, event.kind === 'failed' ? 'down' : 'starting', event.reason, now)
    case 'overdue':
      return afterSilence(before, event.reason, now)
  }
}

/** Whether planes should send work there. */
export function isUsable({ state }: Pick<Health, 'state'>): boolean {
  return state === 'up' || state === 'suspect' || state === 'overloaded'
}

function afterAnswer(before: Health, event: Extract<HealthEvent, { kind: 'answered' }>, now: number): Health {
  switch (before.state) {
    case 'unknown':
      return become(before, 'up', event.reason, now)
    case 'up':
    case 'overloaded':
      return weigh(before, event, now)
    case 'down':
      return prove({ ...before, state: 'starting', since: now, answers: 0 }, event, now)
    case 'starting':
    case 'suspect':
      return prove(before, event, now)
  }
}

function prove(before: Health, event: Extract<HealthEvent, { kind: 'answered' }>, now: number): Health {
  const answers = before.answers + 1
  // A primary is waited for: whoever needs one proof only has nothing to prove.
  const needed = event.proofs <= 1 ? 1 : event.proofs * 2 ** before.relapses
  if (answers >= needed) return { ...become(before, 'up', event.reason, now), backAt: now }
  return { ...before, answers, reason: `answers again: ${answers} of ${needed} times` }
}

function weigh(before: Health, event: Extract<HealthEvent, { kind: 'answered' }>, now: number): Health {
  const isOverloaded = before.state === 'overloaded'
  const reason = event.strain ?? (isOverloaded ? before.reason : event.reason)
  if ((event.strain !== null) === isOverloaded) {
    return { ...before, reason, contrarySince: null }
  }
  const contrarySince = before.contrarySince ?? now
  const patience = isOverloaded ? RELIEVED_AFTER_MS : OVERLOADED_AFTER_MS
  if (now - contrarySince < patience) return { ...before, reason: before.reason, contrarySince }
  return become(before, isOverloaded ? 'up' : 'overloaded', event.strain ?? event.reason, now)
}

function afterSilence(before: Health, reason: string, now: number): Health {
  switch (before.state) {
    case 'unknown':
    case 'down':
      return before
    case 'starting':
      return { ...before, answers: 0, reason }
    case 'up':
    case 'suspect':
    case 'overloaded':
      return away(before, 'suspect', reason, now)
  }
}

/** Not in use any more, or not without a doubt. */
function away(before: Health, state: 'starting' | 'suspect' | 'down', reason: string, now: number): Health {
  const leaves = before.state === 'up' || before.state === 'overloaded'
  const isRelapse = now - before.backAt < RELAPSE_MS
  const relapses = isRelapse ? Math.min(MOST_RELAPSES, before.relapses + 1) : 0
  return { ...become(before, state, reason, now), relapses: leaves ? relapses : before.relapses }
}

function become(before: Health, state: HealthState, reason: string, now: number): Health {
  const since = state === before.state ? before.since : now
  return { ...before, state, reason, since, answers: 0, contrarySince: null }
}
