/** A shard and the sessions that are pinned there. */
export interface PinnedLoad {
  readonly shard: number
  /** How many have a server connection there. */
  readonly pinned: number
  /** What it should have of them, beside others; 0: none, it is being left. */
  readonly share: number
}

export interface Surplus {
  readonly shard: number
  /** How many more it has than it should, in all; at least 1. */
  readonly sessions: number
}

/** So much of its share a shard may have too many before anybody moves: moving for less is not worth the round trips. */
const DEAD_ZONE = 0.2

/**
 * The shard with the most pinned sessions beyond its share; null: none has enough of them that one should move. `travelling`: sessions
 * that have left one and are on no other yet. Pure. As long as those who move go where there is least, nobody is moved to and fro:
 * a shard gives away nothing that it would have to get back.
 */
export function pinnedSurplus(loads: readonly PinnedLoad[], travelling: number): Surplus | null {
  let total = travelling
  let shares = 0
  for (const { pinned, share } of loads) {
    total += pinned
    shares += share
  }
  if (shares === 0) return null
  let found: Surplus | null = null
  for (const { shard, pinned, share } of loads) {
    const due = (total * share) / shares
    const sessions = Math.floor(pinned - due)
    if (sessions < 1 || sessions <= due * DEAD_ZONE) continue
    if (found === null || sessions > found.sessions) found = { shard, sessions }
  }
  return found
}
