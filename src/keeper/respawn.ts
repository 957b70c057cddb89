const FIRST_DELAY_MS = 100
const LONGEST_DELAY_MS = 5_000
/** A child that was ready for so long did not fail because of how it starts. */
const STABLE_MS = 2_000
/** A child that was never ready even once gives up after so many tries: the reason will not go away by itself. */
const START_ATTEMPTS = 5

/** What is remembered of a child's lives; the next one is derived from it. */
export interface RespawnRecord {
  /** Deaths in a row without a stable life between them. */
  readonly failures: number
  readonly wasEverReady: boolean
}

export const neverStarted: RespawnRecord = { failures: 0, wasEverReady: false }

export type RespawnVerdict =
  | { readonly action: 'respawn'; readonly delayMs: number; readonly record: RespawnRecord }
  | { readonly action: 'give-up'; readonly record: RespawnRecord }

/** A life that is over. */
export interface Life {
  /** How long it was ready; null: never. */
  readonly readyMs: number | null
  /** It died of itself; false: somebody else killed it. */
  readonly isCrash: boolean
}

/**
 * What to do about a child that died. The first failure is answered at once; more of them in a row wait 100 ms, 200 ms …
 * 5 s. To be killed while ready is no failure: how long it takes to boot is pause enough. One that never comes up is given
 * up after `attempts`.
 */
export function respawnVerdict(
  before: RespawnRecord,
  { readyMs, isCrash }: Life,
  attempts: number = START_ATTEMPTS,
): RespawnVerdict {
  if (readyMs !== null && !isCrash) {
    return { action: 'respawn', delayMs: 0, record: { failures: 0, wasEverReady: true } }
  }
  const failures = readyMs !== null && readyMs >= STABLE_MS ? 1 : before.failures + 1
  const record = { failures, wasEverReady: before.wasEverReady || readyMs !== null }
  if (!record.wasEverReady && failures >= attempts) return { action: 'give-up', record }
  const delayMs = failures === 1 ? 0 : Math.min(FIRST_DELAY_MS * 2 ** (failures - 2), LONGEST_DELAY_MS)
  return { action: 'respawn', delayMs, record }
}
