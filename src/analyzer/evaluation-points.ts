/** The last of the first evaluations: after queries 1, 2, 4, 8 and 16. */
const LAST_EARLY = 16
const QUERIES_APART = 32
const MS_APART = 250
/** A connection that sends less is looked at with its next query after this time. */
const LONGEST_MS = 2_000

/**
 * Whether the model is asked after query `queries`: early on at each doubling, then when both 32 queries and 250 ms have
 * gone by, or two seconds. `before`: the query at the last evaluation, `passed` milliseconds ago.
 */
export function isEvaluationPoint(queries: number, before: number, passed: number): boolean {
  if (queries <= LAST_EARLY) return (queries & (queries - 1)) === 0
  return passed >= LONGEST_MS || (passed >= MS_APART && queries - before >= QUERIES_APART)
}

/** Whether a snapshot goes into the history after query `queries`: 0, 1, 4, 16, 64 … */
export function isSnapshotPoint(queries: number): boolean {
  return queries === 0 || ((queries & (queries - 1)) === 0 && (Math.clz32(queries) & 1) === 1)
}
