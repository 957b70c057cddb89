import type { ErrorFields } from '../protocol/messages.ts'

/** What a client had asked of a server connection that died, and what came of it. */
export interface LostWork {
  /** `sqlstateOfBackend` of the last words. */
  readonly sqlstate: string | null
  /** The session is still being logged in, or its state was on that server connection. */
  readonly isTied: boolean
  /** The transaction that was open; null: none was. */
  readonly transaction: LostTransaction | null
  /** A message was on its way to the server, and is there in part. */
  readonly isMidMessage: boolean
  /** The client has got something of the answer to what is asked. */
  readonly isDelivered: boolean
  /** There is a checksum of all that the client has got, so that it need not get it twice. */
  readonly isSummed: boolean
  /** It was cancelled, by its client or because its time was over. */
  readonly isCancelled: boolean
  /** All of what was asked is known, byte for byte, in a transaction since its beginning. */
  readonly isRecorded: boolean
  /** How often it has been run again already. */
  readonly runs: number
}

/** A transaction that was open when its server connection died. */
export interface LostTransaction {
  /** The policy allows that those of its tier are run again. */
  readonly mayReplay: boolean
  /** How long it has been open, and how long those may be that are run again; milliseconds. */
  readonly ageMs: number
  readonly mostMs: number
  /** What ends it was sent: whether it did is not for these rules to say. */
  readonly isEnding: boolean
}

/** What the statements themselves tell; asked last, because that takes time. */
export interface LostStatements {
  /** They do nothing but read. */
  onlyRead(): boolean
  /** Why a transaction of them must not be run a second time; null: it may. */
  whyNotReplayable(): string | null
}

export interface RetryVerdict {
  readonly again: boolean
  /** For the log. */
  readonly reason: string
}

/**
 * Last words of a backend that was ended on purpose, and not with its server: whoever did that does not want the same work to begin
 * again elsewhere. `admin_shutdown` is pg_terminate_backend's, too; the others are the server's limits of time:
 * idle_in_transaction_session_timeout, transaction_timeout, idle_session_timeout.
 */
const ENDED_ON_PURPOSE: ReadonlyMap<string, string> = new Map([
  ['57P01', 'its backend was told to end'],
  ['25P03', 'its transaction was idle for too long'],
  ['25P04', 'its transaction took too long'],
  ['57P05', 'its session was idle for too long'],
])
/** PostgreSQL's function that says 57P01 for whoever ended a backend; one that finds its postmaster gone says it elsewhere. */
const TOLD_TO_END = 'ProcessInterrupts'

/** The SQLSTATE of a backend's last words, if they are about that backend and not about the end of its whole server; else null. */
export function sqlstateOfBackend(words: ErrorFields | null): string | null {
  if (words === null) return null
  const { sqlstate, routine = TOLD_TO_END } = words
  return sqlstate === '57P01' && routine !== TOLD_TO_END ? null : sqlstate
}

/**
 * One that takes its server down takes the next one down as well. Of a transaction, less is certain: it may have been
 * another's that did.
 */
const MOST_RUNS = 1
const MOST_RUNS_OF_TRANSACTION = 2

/** A server connection that was lost while it worked for a client. */
export interface LostServer {
  /** Number of its shard. */
  readonly shard: number
  /** Monotonic milliseconds. */
  readonly createdAt: number
  /** SQLSTATE of its last words; null: it said none. */
  readonly sqlstate: string | null
}

/** Last words of a backend that is ended because another one has crashed. */
const CRASH_OF_ANOTHER = '57P02'
/** A server in which a backend has crashed takes connections for a moment longer, and ends them with all others. */
const CRASH_MS = 1000
/** A backend that is ended while it sends has no last words, and no server has recovered from a crash so soon after it. */
const WORDLESS_CRASH_MS = 50

/** How often what a client has asked has been run again because server connections died. */
export class RunCount {
  /** 0 when nothing is run again. */
  times = 0
  #shard = -1
  #lostAt = 0

  /**
   * How often before it was on `server`, which is lost. A server that dies takes all its connections with it: what is run again
   * on another one that was there already meets the same death, and has not come to run.
   */
  before(server: LostServer): number {
    return this.#diedBefore(server) ? this.times - 1 : this.times
  }

  #diedBefore({ shard, createdAt, sqlstate }: LostServer): boolean {
    const crashMs = sqlstate === CRASH_OF_ANOTHER ? CRASH_MS : sqlstate === null ? WORDLESS_CRASH_MS : 0
    return this.times > 0 && shard === this.#shard && createdAt < this.#lostAt + crashMs
  }

  /** It is answered: by a server, or by us because it was lost for good. What comes next has not been run yet. */
  reset(): void {
    this.times = 0
  }

  /** It was on `server`, which is lost, and is run again. */
  count(server: LostServer, now: number): void {
    // Only what was there before one that counts: else new ones that keep dying would never count.
    if (this.#diedBefore(server)) return
    this.times++
    this.#shard = server.shard
    this.#lostAt = now
  }
}

/** Whether what has been run again so often may be so once more. */
export function mayRunAgain(runs: number, inTransaction: boolean): boolean {
  return runs < (inTransaction ? MOST_RUNS_OF_TRANSACTION : MOST_RUNS)
}

/**
 * Whether what was asked is run again, on another server connection, as if it had never been sent. Pure.
 *
 * A read may, and so may an open transaction, whose work is undone: the client gets only what it has not got, and only if what
 * it has got comes again byte for byte. Nothing else is ever repeated blindly.
 */
export function retryVerdict(work: LostWork, statements: LostStatements): RetryVerdict {
  const { transaction } = work
  if (work.isTied) return no('its session needs that server connection')
  if (work.isMidMessage) return no('a message was cut in the middle')
  if (transaction?.mayReplay === false) return no('transactions of its tier are not run again')
  if (transaction?.isEnding === true) return no('it was ending')
  if ((work.isDelivered || transaction !== null) && !work.isSummed)
    return no('there is no checksum of what was delivered')
  if (work.isCancelled) return no('it was cancelled')
  const purpose = work.sqlstate === null ? undefined : ENDED_ON_PURPOSE.get(work.sqlstate)
  if (purpose !== undefined) return no(purpose)
  if (!mayRunAgain(work.runs, transaction !== null)) return no('it was run again already')
  if (!work.isRecorded) return no('it is too long to be kept')
  if (transaction === null) return statements.onlyRead() ? yes('it only reads') : no('it may write')
  if (transaction.ageMs > transaction.mostMs) return no('it was open for too long')
  const reason = statements.whyNotReplayable()
  return reason === null ? yes('all of the transaction is known, and nothing of it has happened') : no(reason)
}

function yes(reason: string): RetryVerdict {
  return { again: true, reason }
}

function no(reason: string): RetryVerdict {
  return { again: false, reason }
}
