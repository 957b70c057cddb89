/** What a shard says of its load at one moment; totals run since its statistics were reset. */
export interface LoadSample {
  /** Monotonic milliseconds at which it was asked, and how long the answer took. */
  readonly askedAt: number
  readonly tookMs: number
  readonly sessions: SessionCounts
  /** Active sessions by what they wait for. */
  readonly waits: WaitCounts
  /** Age of the oldest transaction. */
  readonly oldestTransactionMs: number
  /** Connections that ordinary roles may have in all; the others are reserved. */
  readonly maxConnections: number
  readonly totals: LoadTotals
  /** Bytes since 0/0: of a primary what it has written, of a replica what it has replayed. */
  readonly walBytes: number | null
  /** Of a replica: received and not replayed yet. */
  readonly unreplayedBytes: number | null
  /** Of a replica: how old the last replayed transaction is while there is more to replay; 0: all is replayed. */
  readonly replayDelayMs: number | null
}

/** Of other client backends than the monitor's own. `hidden`: the monitor may not see (it lacks `pg_monitor`). */
export interface SessionCounts {
  readonly active: number
  readonly idle: number
  readonly inTransaction: number
  readonly hidden: number
}

/** Active backends of a shard by what they wait for. */
export interface WaitCounts {
  /** They wait for nothing: on a processor, or for one. */
  readonly none: number
  readonly lock: number
  readonly lwlock: number
  readonly io: number
  readonly client: number
  readonly other: number
}

/** Running totals of a shard over all its databases, since its statistics were reset. */
export interface LoadTotals {
  readonly commits: number
  readonly rollbacks: number
  readonly blocksRead: number
  readonly blocksHit: number
  readonly tuplesReturned: number
  readonly tuplesWritten: number
  readonly tempBytes: number
  readonly deadlocks: number
  readonly conflicts: number
  readonly activeMs: number
  /** Reads and writes of files, from pg_stat_io; null before PostgreSQL 16. */
  readonly ioReads: number | null
  readonly ioWrites: number | null
}

const SESSIONS = `select pg_catalog.json_build_object(
    'active', count(*) filter (where state in ('active', 'fastpath function call')),
    'idle', count(*) filter (where state = 'idle'),
    'inTransaction', count(*) filter (where state like 'idle in transaction%'),
    'hidden', count(*) filter (where state is null),
    'none', count(*) filter (where state = 'active' and wait_event_type is null),
    'lock', count(*) filter (where state = 'active' and wait_event_type = 'Lock'),
    'lwlock', count(*) filter (where state = 'active' and wait_event_type in ('LWLock', 'BufferPin')),
    'io', count(*) filter (where state = 'active' and wait_event_type = 'IO'),
    'client', count(*) filter (where state = 'active' and wait_event_type = 'Client'),
    'other', count(*) filter (where state = 'active'
      and wait_event_type not in ('Lock', 'LWLock', 'BufferPin', 'IO', 'Client')),
    'oldest', coalesce(extract(epoch from pg_catalog.clock_timestamp() - min(xact_start)) * 1000, 0))
  from pg_catalog.pg_stat_activity
  where backend_type = 'client backend' and pid <> pg_catalog.pg_backend_pid()`

const DATABASES = `select pg_catalog.json_build_object(
    'commits', sum(xact_commit), 'rollbacks', sum(xact_rollback), 'blocksRead', sum(blks_read),
    'blocksHit', sum(blks_hit), 'tuplesReturned', sum(tup_returned),
    'tuplesWritten', sum(tup_inserted + tup_updated + tup_deleted), 'tempBytes', sum(temp_bytes),
    'deadlocks', sum(deadlocks), 'conflicts', sum(conflicts), 'activeMs', sum(active_time))
  from pg_catalog.pg_stat_database`

const FILES = `select pg_catalog.json_build_object('reads', coalesce(sum(reads), 0), 'writes', coalesce(sum(writes), 0))
  from pg_catalog.pg_stat_io`

const WAL = `case when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_replay_lsn()
    else pg_catalog.pg_current_wal_insert_lsn() end - '0/0'::pg_catalog.pg_lsn`

const UNREPLAYED = 'pg_catalog.pg_last_wal_receive_lsn() - pg_catalog.pg_last_wal_replay_lsn()'

/** The age of the last replayed transaction grows on an idle primary too, so it counts only while there is more to replay. */
const DELAY = `case when not pg_catalog.pg_is_in_recovery() then null
    when pg_catalog.pg_last_wal_receive_lsn() = pg_catalog.pg_last_wal_replay_lsn() then 0
    else extract(epoch from pg_catalog.clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp()) * 1000 end`

const MAX_CONNECTIONS = `pg_catalog.current_setting('max_connections')::int4
    - pg_catalog.current_setting('superuser_reserved_connections')::int4
    - coalesce(pg_catalog.current_setting('reserved_connections', true)::int4, 0)`

/**
 * One question for all of it (about 3.5 ms of the server's time with 150 sessions), for PostgreSQL of this major version,
 * 15 and later. Any role may ask; what a role without `pg_monitor` may not see is counted as hidden.
 */
export function loadQuestion(majorVersion: number): string {
  return `select pg_catalog.json_build_object('sessions', (${SESSIONS}), 'totals', (${DATABASES}),
  'files', ${majorVersion >= 16 ? `(${FILES})` : 'null::pg_catalog.json'},
  'maxConnections', ${MAX_CONNECTIONS}, 'wal', ${WAL}, 'unreplayed', ${UNREPLAYED}, 'delay', ${DELAY}) as load`
}

type Totals = Omit<LoadTotals, 'ioReads' | 'ioWrites'>

/** What `loadQuestion` is answered with. */
export interface LoadAnswer {
  readonly sessions: SessionCounts & WaitCounts & { readonly oldest: number }
  readonly totals: { readonly [Name in keyof Totals]: number | null }
  readonly files: { readonly reads: number; readonly writes: number } | null
  readonly maxConnections: number
  readonly wal: number | null
  readonly unreplayed: number | null
  readonly delay: number | null
}

/** The sample in an answer. `askedAt`, `tookMs`: monotonic milliseconds, and how long it took. */
export function readLoad(answer: LoadAnswer, askedAt: number, tookMs: number): LoadSample {
  const { active, idle, inTransaction, hidden, oldest, none, lock, lwlock, io, client, other } = answer.sessions
  const totals = answer.totals
  return {
    askedAt,
    tookMs,
    sessions: { active, idle, inTransaction, hidden },
    waits: { none, lock, lwlock, io, client, other },
    oldestTransactionMs: oldest,
    maxConnections: answer.maxConnections,
    totals: {
      commits: totals.commits ?? 0,
      rollbacks: totals.rollbacks ?? 0,
      blocksRead: totals.blocksRead ?? 0,
      blocksHit: totals.blocksHit ?? 0,
      tuplesReturned: totals.tuplesReturned ?? 0,
      tuplesWritten: totals.tuplesWritten ?? 0,
      tempBytes: totals.tempBytes ?? 0,
      deadlocks: totals.deadlocks ?? 0,
      conflicts: totals.conflicts ?? 0,
      activeMs: totals.activeMs ?? 0,
      ioReads: answer.files?.reads ?? null,
      ioWrites: answer.files?.writes ?? null,
    },
    walBytes: answer.wal,
    unreplayedBytes: answer.unreplayed,
    replayDelayMs: answer.delay === null ? null : Math.max(0, answer.delay),
  }
}

/** Connections of ordinary clients that are open, the monitor's own included. */
export function connectionsOf({ sessions }: LoadSample): number {
  return sessions.active + sessions.idle + sessions.inTransaction + sessions.hidden + 1
}
