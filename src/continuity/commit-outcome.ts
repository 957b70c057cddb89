import type { Rows } from '../server/captured-rows.ts'

/** What is known of a transaction when its COMMIT is sent. */
export interface CommitMark {
  /** Its 64-bit transaction id. */
  readonly xid: bigint
  /** Where the log of the server was: all that the transaction had written lies before it, its commit record behind it. */
  readonly lsn: bigint
  /** Timeline of that log. */
  readonly timeline: number
}

/** What the server says that is the primary now. */
export interface CommitEvidence {
  /** `unseen`: no transaction with this id, or a higher one, has ended there. */
  readonly status: 'committed' | 'aborted' | 'in progress' | 'unseen'
  readonly timeline: number
  /** The end of the record with which `recoveryTimeline` began; 0 when a checkpoint has followed. */
  readonly recoveryEnd: bigint
  readonly recoveryTimeline: number
  /** The last checkpoint ended a recovery or a shutdown, and this id was the next one then; null: it was an online one. */
  readonly nextXid: bigint | null
  /** How long ago statistics were reset, which every crash does, in milliseconds; null: nobody knows. */
  readonly sinceResetMs: number | null
}

/** In milliseconds: as it was when the question left, and when the answer came. */
export interface ConnectionAge {
  readonly leastMs: number
  readonly mostMs: number
}

export interface CommitVerdict {
  /** `pending`: it may still be under way, so ask again. */
  readonly outcome: 'committed' | 'aborted' | 'pending' | 'unknown'
  /** For the client and the log. */
  readonly reason: string
}

/** Functions of every version since 10, which anybody may call. Goes ahead of a COMMIT. */
export const MARK_SQL =
  'SELECT pg_catalog.txid_current_if_assigned(),pg_catalog.pg_current_wal_insert_lsn(),' +
  'pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()),8)'

/**
 * Sizes in the log: the least of a commit record; of what a new timeline begins with (end of recovery: 48 or 56 bytes, maybe
 * behind 32 of full_page_writes), least and most, and how much more it can be where a page begins in between.
 */
const LEAST_COMMIT = 34n
const LEAST_BEGINNING = 40n
const MOST_BEGINNING = 88n
const PAGE_BYTES = 8192n
const PAGE_HEADERS = 64n
/** Clocks are compared: ours of the connection's age, the server's of its statistics. */
const MARGIN_MS = 5000

/** The answer to MARK_SQL; null: the transaction has no id, or the answer cannot be read. */
export function readMark(rows: Rows | null): CommitMark | null {
  const [xid, lsn, timeline] = rows?.[0] ?? []
  if (xid == null || lsn == null || timeline == null) return null
  const position = readLsn(lsn)
  return position === null ? null : { xid: BigInt(xid), lsn: position, timeline: Number.parseInt(timeline, 16) }
}

/** What to ask the new primary. */
export function outcomeSql({ xid }: CommitMark): string {
  return (
    `SELECT CASE WHEN ${xid}<pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot())` +
    ` THEN pg_catalog.txid_status(${xid}) ELSE 'unseen' END,` +
    'pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()),8),' +
    'r.min_recovery_end_lsn,r.min_recovery_end_timeline,' +
    `CASE WHEN c.checkpoint_lsn=c.redo_lsn AND pg_catalog.current_setting('wal_level')<>'minimal' THEN c.next_xid END,` +
    'pg_catalog.floor(EXTRACT(EPOCH FROM' +
    ' pg_catalog.clock_timestamp()-pg_catalog.pg_stat_get_bgwriter_stat_reset_time())*1000)' +
    ' FROM pg_catalog.pg_control_checkpoint() c,pg_catalog.pg_control_recovery() r'
  )
}

/** The answer to it; null when it cannot be read. */
export function readEvidence(rows: Rows | null): CommitEvidence | null {
  const [status, timeline, recoveryEnd, recoveryTimeline, nextXid, sinceReset] = rows?.[0] ?? []
  if (status !== 'committed' && status !== 'aborted' && status !== 'in progress' && status !== 'unseen') return null
  const position = readLsn(recoveryEnd ?? '')
  if (timeline == null || position === null) return null
  return {
    status,
    timeline: Number.parseInt(timeline, 16),
    recoveryEnd: position,
    recoveryTimeline: Number(recoveryTimeline ?? 0),
    nextXid: nextXid == null ? null : readFullXid(nextXid),
    sinceResetMs: sinceReset == null ? null : Number(sinceReset),
  }
}

/** `16/B374D848`. */
function readLsn(text: string): bigint | null {
  const [, high, low] = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/i.exec(text) ?? []
  return high === undefined ? null : (BigInt(`0x${high}`) << 32n) + BigInt(`0x${low}`)
}

/** `0:755`: epoch and id. */
function readFullXid(text: string): bigint | null {
  const [, epoch, xid] = /^(\d+):(\d+)$/.exec(text) ?? []
  return epoch === undefined ? null : (BigInt(epoch) << 32n) + BigInt(xid as string)
}

/**
 * What has become of a transaction whose COMMIT was sent to a server connection that died. Pure.
 *
 * The id alone does not tell. A server that crashed, or was replaced by a replica, may have lost the end of its log and
 * then gives the same ids to other transactions: one that is *not* committed under this id is certainly not ours, but one that is
 * may be another's. So `committed` counts only where the log proves that this id was not given twice: it is still the same
 * run of the server; or recovery has seen the id; or the replica had everything up to `lsn` when its timeline began.
 *
 * `age`: how long ago the server connection that died was opened, when the evidence was given.
 */
export function commitOutcome(mark: CommitMark, evidence: CommitEvidence, age: ConnectionAge): CommitVerdict {
  if (evidence.timeline < mark.timeline) return unknown('the server that was asked is on an older timeline')
  return evidence.timeline === mark.timeline ? onSameTimeline(mark, evidence, age) : onNewTimeline(mark, evidence)
}

function onSameTimeline(mark: CommitMark, evidence: CommitEvidence, age: ConnectionAge): CommitVerdict {
  const { status, nextXid, sinceResetMs } = evidence
  const isSameRun = sinceResetMs !== null && sinceResetMs > age.mostMs + MARGIN_MS
  const isSeen = nextXid === null ? null : mark.xid < nextXid
  // A recovery that has not seen the id proves nothing where it was over before the connection was opened: the id was given later.
  const isLost = isSeen === false && sinceResetMs !== null && sinceResetMs < age.leastMs
  switch (status) {
    case 'committed':
      if (isSameRun || isSeen === true) return { outcome: 'committed', reason: 'the server has committed it' }
      if (isLost) return aborted('the server lost it when it crashed')
      return unknown('the server may have crashed, and given its id to another transaction')
    case 'aborted':
      return aborted('the server has rolled it back')
    case 'in progress':
    case 'unseen':
      if (isLost) return aborted('the server lost it when it crashed')
      return { outcome: 'pending', reason: 'it is still under way' }
  }
}

function onNewTimeline(mark: CommitMark, evidence: CommitEvidence): CommitVerdict {
  if (evidence.status !== 'committed') return aborted('the new primary has no commit of it')
  const { timeline, recoveryTimeline, recoveryEnd } = evidence
  if (recoveryTimeline !== timeline || timeline !== mark.timeline + 1) {
    return unknown('the new primary does not say any more where its timeline began')
  }
  // All that it wrote before its COMMIT is there, so its id is known there and was not given again.
  if (mark.lsn <= beginningAt(recoveryEnd)) return { outcome: 'committed', reason: 'the new primary has it' }
  if (mark.lsn + LEAST_COMMIT > recoveryEnd - LEAST_BEGINNING) return aborted('the new primary did not get it')
  return unknown('it was at the very end of the lost log')
}

/** A position that lies before the first record of a timeline, or at it, whose beginning ends at `end`. */
function beginningAt(end: bigint): bigint {
  const isInPage = end % PAGE_BYTES >= MOST_BEGINNING + PAGE_HEADERS
  return end - MOST_BEGINNING - (isInPage ? 0n : PAGE_HEADERS)
}

function aborted(reason: string): CommitVerdict {
  return { outcome: 'aborted', reason }
}

function unknown(reason: string): CommitVerdict {
  return { outcome: 'unknown', reason }
}
