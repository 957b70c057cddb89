/** Two crashes further apart than this have nothing to do with each other. */
const WINDOW_MS = 60_000

/** Whose event a plane was serving when it crashed. */
export interface Culprit {
  readonly kind: 'client' | 'server'
  readonly slot: number
  /** Tells it from others that had the slot before. */
  readonly generation: number
}

/** A crash of a plane while it served somebody. */
export interface Crash {
  readonly culprit: Culprit
  /** Monotonic milliseconds. */
  readonly at: number
}

/** What becomes of a connection that a plane was serving when it crashed. */
export interface QuarantineVerdict {
  /** The connection is to be closed, not handed on. */
  readonly quarantined: boolean
  /** What to remember until the next crash. */
  readonly crashes: readonly Crash[]
}

/**
 * Whether the connection that was being served at `crash` may be given to yet another plane, `before` being the earlier
 * crashes. The first time may be chance, or the plane's own fault. With the second one, one connection ends, so that it
 * does not take all the others down again and again.
 */
export function quarantineVerdict(before: readonly Crash[], crash: Crash): QuarantineVerdict {
  const recent = before.filter(({ at }) => crash.at - at < WINDOW_MS)
  return { quarantined: recent.some(({ culprit }) => isSame(culprit, crash.culprit)), crashes: [...recent, crash] }
}

function isSame(one: Culprit, other: Culprit): boolean {
  return one.kind === other.kind && one.slot === other.slot && one.generation === other.generation
}
