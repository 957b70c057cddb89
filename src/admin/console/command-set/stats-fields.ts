import type { Averages } from '../../stats/averages.ts'
import type { Totals } from '../../stats/database-totals.ts'
import type { ReportContext } from '../command.ts'
import { type Field, int8 } from '../table.ts'

/** One database in the STATS family of commands. */
export interface DatabaseStats {
  readonly database: string
  readonly totals: Totals
  readonly averages: Averages
}

/** PgBouncer counts time in microseconds. */
const microseconds = (milliseconds: number): number => milliseconds * 1000

export const TOTAL_FIELDS: readonly Field<DatabaseStats>[] = [
  int8('total_server_assignment_count', ({ totals }) => totals.serverAssignments),
  int8('total_xact_count', ({ totals }) => totals.transactions),
  int8('total_query_count', ({ totals }) => totals.queries),
  int8('total_received', ({ totals }) => totals.bytesReceived),
  int8('total_sent', ({ totals }) => totals.bytesSent),
  int8('total_xact_time', ({ totals }) => microseconds(totals.transactionMs)),
  int8('total_query_time', ({ totals }) => microseconds(totals.queryMs)),
  int8('total_wait_time', ({ totals }) => microseconds(totals.waitMs)),
  int8('total_client_parse_count', ({ totals }) => totals.parseCount),
  int8('total_server_parse_count', () => 0),
  int8('total_bind_count', ({ totals }) => totals.bindCount),
]

export const AVERAGE_FIELDS: readonly Field<DatabaseStats>[] = [
  int8('avg_server_assignment_count', ({ averages }) => averages.serverAssignments),
  int8('avg_xact_count', ({ averages }) => averages.transactions),
  int8('avg_query_count', ({ averages }) => averages.queries),
  int8('avg_recv', ({ averages }) => averages.bytesReceived),
  int8('avg_sent', ({ averages }) => averages.bytesSent),
  int8('avg_xact_time', ({ averages }) => averages.transactionTime),
  int8('avg_query_time', ({ averages }) => averages.queryTime),
  int8('avg_wait_time', ({ averages }) => averages.waitTime),
  int8('avg_client_parse_count', ({ averages }) => averages.parses),
  int8('avg_server_parse_count', () => 0),
  int8('avg_bind_count', ({ averages }) => averages.binds),
]

/** What PgBouncer does not count. */
export const FURTHER_TOTAL_FIELDS: readonly Field<DatabaseStats>[] = [
  int8('total_waits', ({ totals }) => totals.waits),
  int8('total_wait_timeouts', ({ totals }) => totals.waitTimeouts),
  int8('total_errors', ({ totals }) => totals.errors),
  int8('total_server_connects', ({ totals }) => totals.serverConnects),
  int8('total_server_connect_failures', ({ totals }) => totals.serverConnectFailures),
  int8('total_server_login_failures', ({ totals }) => totals.serverLoginFailures),
]

/** The statistics of every database that has a pool, by name. */
export function databaseStats({ stats }: ReportContext): readonly DatabaseStats[] {
  const now = stats.snapshot()
  const averages = stats.averages(now)
  return [...now.databases]
    .map(([database, totals]) => ({ database, totals, averages: averages.get(database)! }))
    .sort((a, b) => (a.database < b.database ? -1 : 1))
}
