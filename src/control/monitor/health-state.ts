/**
 * What is believed of one shard.
 *
 * - unknown: not probed yet. `answered` or `failed` decide.
 * - up: the last probe was answered. `failed` ends it; `doubted` (a plane had trouble, or the probe's own connection
 *   broke) makes it suspect.
 * - suspect: still in use, and being probed at this moment because of a doubt.
 * - down: the last probe failed. Only an answer ends it.
 */
export type HealthState = 'unknown' | 'up' | 'suspect' | 'down'
export type HealthEvent = 'answered' | 'failed' | 'doubted'

const next: Record<HealthState, Record<HealthEvent, HealthState>> = {
  unknown: { answered: 'up', failed: 'down', doubted: 'unknown' },
  up: { answered: 'up', failed: 'down', doubted: 'suspect' },
  suspect: { answered: 'up', failed: 'down', doubted: 'suspect' },
  down: { answered: 'up', failed: 'down', doubted: 'down' },
}

export interface Health {
  readonly state: HealthState
  /** One phrase: "accepts connections", "connection refused". */
  readonly reason: string
  /** Monotonic milliseconds at which this state began. */
  readonly since: number
}

export function unknownHealth(now: number): Health {
  return { state: 'unknown', reason: 'not probed yet', since: now }
}

/** The health after `event`; a doubt about a shard that is no better known keeps the older reason. */
export function healthAfter(before: Health, event: HealthEvent, reason: string, now: number): Health {
  const state = next[before.state][event]
  if (event === 'doubted' && state !== 'suspect') return before
  return { state, reason, since: state === before.state ? before.since : now }
}

/** Whether planes should send work there. */
export function isUsable({ state }: Health): boolean {
  return state === 'up' || state === 'suspect'
}
