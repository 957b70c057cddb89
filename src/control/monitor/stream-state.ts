/** What a server says of the log that it gets. */
export interface StreamState {
  readonly isInRecovery: boolean
  /** Whether it streams from anybody; null: we are not told. */
  readonly isStreaming: boolean | null
  /** Of the log that it gets, or, on a primary, writes; null: we are not told. */
  readonly timeline: number | null
  /** What it has replayed, in bytes since 0/0; null: a primary, or it does not know. */
  readonly replayed: number | null
  /** After a failure it tries again to stream after this time, in milliseconds. */
  readonly retryMs: number
}

/** Its columns are those of `StreamRow`. Any role may ask it; one in `pg_read_all_stats` is told all of it. */
export const STREAM_QUESTION = `select pg_catalog.pg_is_in_recovery() as recovery, r.pid is not null as receives, r.status,
  case when not pg_catalog.pg_is_in_recovery() then
      ('x' || pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 1, 8))
        ::pg_catalog.bit(32)::pg_catalog.int4
    when r.pid is not null then r.received_tli
    else (select timeline_id from pg_catalog.pg_control_checkpoint()) end as timeline,
  (pg_catalog.pg_last_wal_replay_lsn() - '0/0'::pg_catalog.pg_lsn)::pg_catalog.float8 as replayed,
  (select setting::pg_catalog.float8 from pg_catalog.pg_settings where name = 'wal_retrieve_retry_interval') as retry
  from (select) one left join pg_catalog.pg_stat_wal_receiver r on true`

export interface StreamRow {
  readonly recovery: boolean
  readonly receives: boolean
  readonly status: string | null
  readonly timeline: number | null
  readonly replayed: number | null
  readonly retry: number
}

export function readStreamState({ recovery, receives, status, timeline, replayed, retry }: StreamRow): StreamState {
  const isStreaming = receives && status === null ? null : status === 'streaming'
  return { isInRecovery: recovery, isStreaming, timeline, replayed: recovery ? replayed : null, retryMs: retry }
}

/** Those that have a name, for the reason. */
export interface NamedStream {
  readonly name: string
  readonly state: StreamState
}

/**
 * Why a server does not follow its group's primary; null: it does, it is on the way to, or nobody can tell. One that streams from
 * another replica follows as well: its timeline is the primary's. One with a later timeline is right, and the primary is not. Pure.
 *
 * @param before what it said the last time it was asked; null: it was not
 */
export function strayReason(stray: NamedStream, primary: NamedStream, before: StreamState | null): string | null {
  const { state } = stray
  const [own, wanted] = [state.timeline, primary.state.timeline]
  if (primary.state.isInRecovery || own === null || wanted === null || own > wanted) return null
  if (!state.isInRecovery) {
    return own < wanted
      ? `it takes itself for a primary, with timeline ${own}; that of ${primary.name} is ${wanted}`
      : null
  }
  if (state.isStreaming === false) {
    const isReplaying = before !== null && (state.replayed ?? 0) > (before.replayed ?? 0)
    return isReplaying ? null : 'it streams from nobody'
  }
  return own < wanted ? `it streams timeline ${own}, and that of ${primary.name} is ${wanted}` : null
}
