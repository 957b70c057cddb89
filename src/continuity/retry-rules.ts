/** What a client had asked of a server connection that died, and what came of it. */
export interface LostWork {
  /** SQLSTATE of the server's last words; null: it said none. */
  readonly sqlstate: string | null
  /** The session is still being logged in, or its state was on that server connection. */
  readonly isTied: boolean
  /** It began in a transaction of the client's. */
  readonly inTransaction: boolean
  /** A message was on its way, to the server or to the client, and is there in part. */
  readonly isMidMessage: boolean
  /** The client has got something of the answer. */
  readonly isDelivered: boolean
  /** It was cancelled, by its client or because its time was over. */
  readonly isCancelled: boolean
  /** All of what was asked is known, byte for byte. */
  readonly isRecorded: boolean
  /** How often it has been run again already. */
  readonly runs: number
}

export interface RetryVerdict {
  readonly again: boolean
  /** For the log. */
  readonly reason: string
}

/**
 * `admin_shutdown`: this backend was told to end, alone (pg_terminate_backend) or with its server. Whoever ends a query does
 * not want it to run again elsewhere.
 */
const TERMINATED = '57P01'
/** One that takes its server down takes the next one down as well. */
const MOST_RUNS = 1

/**
 * Whether what was asked is run again, on another server connection, as if it had never been sent. Pure. `onlyReads` looks
 * at the statements, which takes time, and is asked last.
 *
 * A read of which nothing was delivered may: whatever it found, nobody has seen it. Nothing else is ever repeated blindly.
 */
export function retryVerdict(work: LostWork, onlyReads: () => boolean): RetryVerdict {
  if (work.isTied) return no('its session needs that server connection')
  if (work.isMidMessage) return no('a message was cut in the middle')
  if (work.inTransaction) return no('it was in a transaction')
  if (work.isDelivered) return no('a part of its answer was delivered')
  if (work.isCancelled) return no('it was cancelled')
  if (work.sqlstate === TERMINATED) return no('its backend was told to end')
  if (work.runs >= MOST_RUNS) return no('it was run again already')
  if (!work.isRecorded) return no('it is too long to be kept')
  if (!onlyReads()) return no('it may write')
  return { again: true, reason: 'it only reads, and nothing of its answer was delivered' }
}

function no(reason: string): RetryVerdict {
  return { again: false, reason }
}
