/** What one look at a unit found. */
export interface LoadSample {
  /** Milliseconds; later than the sample before. */
  readonly at: number
  /** Part of the slots of its working shards that is in use. */
  readonly utilisation: number
  /** Some tier waited for longer than its objective, for what another shard could take over. */
  readonly isMissed: boolean
}

/** A sample this much older than the beginning of a window still covers it. */
const GAP_MS = 5_000

/** The samples of the last `keptMs`, the oldest first, with one more. */
export function withSample(history: readonly LoadSample[], sample: LoadSample, keptMs: number): readonly LoadSample[] {
  const first = history.findIndex(({ at }) => at >= sample.at - keptMs)
  return [...(first < 0 ? [] : history.slice(first)), sample]
}

/** The samples of the last `windowMs` before `now`; null when looking began later than that. */
export function lastSamples(
  history: readonly LoadSample[],
  now: number,
  windowMs: number,
): readonly LoadSample[] | null {
  const [oldest] = history
  if (oldest === undefined || oldest.at > now - windowMs) return null
  const samples = history.filter(({ at }) => at >= now - windowMs)
  const last = samples.at(-1)
  return last === undefined || last.at < now - GAP_MS ? null : samples
}

/** Change of utilisation per millisecond: the least-squares line through the samples. 0 for fewer than three. */
export function slopeOf(samples: readonly LoadSample[]): number {
  if (samples.length < 3) return 0
  const meanAt = mean(samples.map(({ at }) => at))
  const meanUse = mean(samples.map(({ utilisation }) => utilisation))
  let up = 0
  let across = 0
  for (const { at, utilisation } of samples) {
    up += (at - meanAt) * (utilisation - meanUse)
    across += (at - meanAt) ** 2
  }
  return across === 0 ? 0 : up / across
}

/** The part of the samples in which an objective was missed. */
export function missedShare(samples: readonly LoadSample[]): number {
  return mean(samples.map(({ isMissed }) => (isMissed ? 1 : 0)))
}

/** 0 for none. */
function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length
}
