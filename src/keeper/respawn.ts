const FIRST_DELAY_MS = 100
const LONGEST_DELAY_MS = 5_000
/** A child that was ready for so long did not fail because of how it starts. */
const STABLE_MS = 10_000
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

/**
 * What to do about a child that died after being ready for `readyMs` (null: never in this life). The first death is
 * answered at once; more of them in a row wait 100 ms, 200 ms … 5 s.
 */
export function respawnVerdict(before: RespawnRecord, readyMs: number | null): RespawnVerdict {
  const failures = readyMs !== null && readyMs >= STABLE_MS ? 1 : before.failures + 1
  const record = { failures, wasEverReady: before.wasEverReady || readyMs !== null }
  if (!record.wasEverReady && failures >= START_ATTEMPTS) return { action: 'give-up', record }
  const delayMs = failures === 1 ? 0 : Math.min(FIRST_DELAY_MS * 2 ** (failures - 2), LONGEST_DELAY_MS)
  return { action: 'respawn', delayMs, record }
}
