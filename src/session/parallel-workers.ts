/**
 * The setting that bounds a session's parallel workers when a statement starts, whatever its plan says: with 0 of them, whoever began it
 * does all of the work. Anybody may set it (PostgreSQL: `PGC_USERSET`).
 */
export const PARALLEL_WORKERS = 'max_parallel_workers'
/** What it is for who gets none. */
export const NO_WORKERS = '0'

/**
 * Whether statements on a server connection run without parallel workers because a tier wants that. unknown: its client may have
 * changed the setting, or taken it back.
 */
export type Parallelism = 'own' | 'serial' | 'unknown'

/** SQL for a server connection where it is as `has` says; empty when it is as it is wanted. */
export function parallelismSql(has: Parallelism, wanted: 'own' | 'serial'): string {
  if (has === wanted) return ''
  return wanted === 'serial' ? `SET "${PARALLEL_WORKERS}" TO ${NO_WORKERS}` : `RESET "${PARALLEL_WORKERS}"`
}
