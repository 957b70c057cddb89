/** Where a server's write-ahead log is: the end of what it has inserted, or, of a replica, replayed. */
export interface WalPosition {
  readonly isInRecovery: boolean
  /** Bytes since 0/0. */
  readonly lsn: number
  readonly timeline: number
}

/** Its columns are those of `PositionRow`. Any role may ask it; one in `pg_monitor` sees a new timeline sooner. */
export const POSITION_QUESTION = `select pg_catalog.pg_is_in_recovery() as recovery,
  (case when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_replay_lsn()
    else pg_catalog.pg_current_wal_insert_lsn() end - '0/0'::pg_catalog.pg_lsn)::pg_catalog.float8 as lsn,
  case when pg_catalog.pg_is_in_recovery() then
    coalesce((select received_tli from pg_catalog.pg_stat_wal_receiver),
      (select timeline_id from pg_catalog.pg_control_checkpoint()))
    else ('x' || pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 1, 8))
      ::pg_catalog.bit(32)::pg_catalog.int4 end as timeline,
  pg_catalog.pg_size_bytes(pg_catalog.current_setting('wal_segment_size'))::pg_catalog.float8 as segment`

/**
 * A row of the question where a server's log ends: position in bytes, timeline as the log's file name has it, bytes
 * of a segment.
 */
export interface PositionRow {
  readonly recovery: boolean
  readonly lsn: number | null
  readonly timeline: number | null
  readonly segment: number
}

/** XLOG_BLCKSZ, and the headers of a page and of a segment's first page (src/include/access/xlog_internal.h). */
const PAGE_BYTES = 8192
const PAGE_HEADER_BYTES = 24
const SEGMENT_HEADER_BYTES = 40

/** The position in a row, or null when the server does not know it. */
export function readPosition({ recovery, lsn, timeline, segment }: PositionRow): WalPosition | null {
  if (lsn === null || timeline === null) return null
  return { isInRecovery: recovery, lsn: recovery ? lsn : endOfRecords(lsn, segment), timeline }
}

/**
 * At the end of a page the insert position points behind the header of the next one, where no record ends: a replica gets
 * there only with the next record. The end of the last record is before the header.
 */
export function endOfRecords(insertLsn: number, segmentBytes: number): number {
  if (insertLsn % segmentBytes === SEGMENT_HEADER_BYTES) return insertLsn - SEGMENT_HEADER_BYTES
  if (insertLsn % PAGE_BYTES === PAGE_HEADER_BYTES) return insertLsn - PAGE_HEADER_BYTES
  return insertLsn
}
