import type { ServerConnection } from '../server/server-connection.ts'
import { NO_WORKERS, PARALLEL_WORKERS, parallelismSql } from '../session/parallel-workers.ts'
import type { ParameterSet } from '../session/parameters.ts'

/**
 * SQL that gives statements on `server` parallel workers, or none if the tier of the session with these settings `isSerial`; empty when
 * it is so. `isReset`: all settings are, ahead of it. What the client has set itself counts.
 */
export function becomeParallel(
  server: ServerConnection,
  { values }: ParameterSet,
  isSerial: boolean,
  isReset: boolean,
): string {
  if (isReset) server.parallelism = 'own'
  if (server.parallelism === 'own' && !isSerial) return ''
  const wanted = isSerial && !values.has(PARALLEL_WORKERS) ? 'serial' : 'own'
  // Its own value takes the place of the tier's, and goes with the others.
  const sql = values.has(PARALLEL_WORKERS) ? '' : parallelismSql(server.parallelism, wanted)
  server.parallelism = wanted
  return sql
}

/** What a server has told of the settings that were made there, but for the tier's, which is nobody's own. */
export function withoutTiers<T extends { readonly settings: ReadonlyMap<string, string> | null }>(
  findings: T,
  { parallelism }: ServerConnection,
): T {
  const { settings } = findings
  if (parallelism === 'own' || settings?.get(PARALLEL_WORKERS) !== NO_WORKERS) return findings
  return { ...findings, settings: new Map([...settings].filter(([name]) => name !== PARALLEL_WORKERS)) }
}
