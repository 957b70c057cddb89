import type { ShardQuestion } from '../monitor/shard-probe.ts'
import type { ProcessUsage } from './process-usage.ts'

/** PostgreSQL 18 is the first that counts the I/O of each server process. */
export const STATISTICS_SINCE = 18

interface StatisticsRow {
  readonly pid: number
  /** Bytes, as PostgreSQL prints `numeric`; null: it is not there any more, or not ours to see. */
  readonly read: string | null
  readonly written: string | null
}

/** What these server processes have read and written, WAL included, asked of their server itself. */
export function statisticsQuestion(pids: readonly number[]): ShardQuestion {
  return {
    name: 'switchyard_backends',
    text: `select p.pid,
        (select sum(io.read_bytes)::text from pg_catalog.pg_stat_get_backend_io(p.pid) io) as read,
        (select (coalesce(sum(io.write_bytes), 0) + coalesce(sum(io.extend_bytes), 0) + max(wal.wal_bytes))::text
          from pg_catalog.pg_stat_get_backend_io(p.pid) io, pg_catalog.pg_stat_get_backend_wal(p.pid) wal
          where io.object <> 'wal') as written
      from unnest($1::int[]) p(pid)`,
    values: [pids],
  }
}

/** By process number. What only the machine knows is NaN. */
export function readStatistics(rows: readonly StatisticsRow[]): ReadonlyMap<number, ProcessUsage> {
  return new Map(
    rows.map(({ pid, read, written }) => [
      pid,
      { cpuMs: Number.NaN, memory: Number.NaN, readBytes: count(read), writtenBytes: count(written) },
    ]),
  )
}

function count(text: string | null): number {
  return text === null ? Number.NaN : Number(text)
}
