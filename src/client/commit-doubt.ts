import {
  type CommitMark,
  type CommitVerdict,
  commitOutcome,
  outcomeSql,
  readEvidence,
} from '../continuity/commit-outcome.ts'
import type { ErrorFields } from '../protocol/messages.ts'
import type { Rows } from '../server/captured-rows.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import { Timer } from '../util/timer-wheel.ts'
import { type ClientHost, ERROR } from './client-host.ts'
import { LOOK_FIRST } from './loss.ts'
import type { RetainedTransaction } from './run-again.ts'

/** Between two questions about a transaction that may still be under way. */
const PAUSE_MS = 50
/** Where `timeouts.query_wait` has no limit. */
const LONGEST_MS = 60_000
/** Questions that may fail: the server that answers may be no primary yet. */
const MOST_FAILURES = 5

const NO_MARK: CommitMark = { xid: 0n, lsn: 0n, timeline: 0 }

/** What another process needs to go on. */
export interface DoubtSnapshot {
  readonly xid: string
  readonly lsn: string
  readonly timeline: number
  /** How long ago the server connection that died was opened. */
  readonly ageMs: number
  readonly isCommitted: boolean
}

/** The session whose COMMIT is in doubt. */
export interface DoubtingSession {
  readonly slot: number
  readonly host: ClientHost
  /** Goes on with what the client has sent. */
  resume(): void
  /** The COMMIT, which is the next of what the client has sent, gets this error, and its transaction is over. */
  refuseCommit(fields: ErrorFields): void
  /** Provably rolled back: it is run again, if that may be. False: it may not. */
  replay(transaction: RetainedTransaction): boolean
}

/**
 * A COMMIT that was sent to a server connection which died: the next one is asked what became of the transaction.
 *
 * - open: to be asked, as soon as there is a server connection. asking: the answer is on its way.
 * - waiting: asked again in a moment. committed: so it was; the client's COMMIT is answered by that of an empty transaction.
 * - over: the client is told, or the transaction is run again.
 */
export class CommitDoubt {
  readonly #session: DoubtingSession
  readonly #mark: CommitMark
  /** When the server connection that died was opened. */
  readonly #openedAt: number
  /** Its age at the last question. */
  #ageAskedMs = 0
  readonly #until: number
  readonly #timer: Timer = new Timer(() => this.#wake())
  #state: 'open' | 'asking' | 'waiting' | 'committed' | 'over' = 'open'
  /** To run it again, if it was rolled back; null: it cannot be. */
  readonly #retained: RetainedTransaction | null
  #failures = 0

  /** `ageMs`: of the server connection that died. */
  constructor(session: DoubtingSession, mark: CommitMark, ageMs: number, retained: RetainedTransaction | null) {
    this.#retained = retained
    this.#session = session
    this.#mark = mark
    this.#openedAt = session.host.now - ageMs
    const { now, timeouts } = session.host
    this.#until = now + (timeouts.queryWaitMs || LONGEST_MS)
  }

  /** Of a transaction that has only read: whether it is committed makes no difference. */
  static ofReads(session: DoubtingSession): CommitDoubt {
    const doubt = new CommitDoubt(session, NO_MARK, 0, null)
    doubt.#state = 'committed'
    return doubt
  }

  /** As another process had it. */
  static resume(session: DoubtingSession, { xid, lsn, timeline, ageMs, isCommitted }: DoubtSnapshot): CommitDoubt {
    const doubt = new CommitDoubt(session, { xid: BigInt(xid), lsn: BigInt(lsn), timeline }, ageMs, null)
    if (isCommitted) doubt.#state = 'committed'
    return doubt
  }

  get #ageMs(): number {
    return this.#session.host.now - this.#openedAt
  }

  get snapshot(): DoubtSnapshot {
    const { xid, lsn, timeline } = this.#mark
    return { xid: String(xid), lsn: String(lsn), timeline, ageMs: this.#ageMs, isCommitted: this.isCommitted }
  }

  /** The client's COMMIT may go to a server connection, in a transaction that is empty. */
  get isCommitted(): boolean {
    return this.#state === 'committed'
  }

  /** Nothing of the client's may be sent to `server` yet. Asks it, if that has not been done. */
  mustAwait(server: ServerConnection): boolean {
    if (this.#state !== 'open') return this.#state === 'asking' || this.#state === 'waiting'
    this.#state = 'asking'
    this.#ageAskedMs = this.#ageMs
    this.#arm(this.#until)
    if (!server.relay.questions.inquire(outcomeSql(this.#mark))) server.lose(server.link.failure, null)
    return true
  }

  /** An answer, null: there is none, to a question of ours. False: it was somebody else's. */
  onInquired(rows: Rows | null): boolean {
    if (this.#state !== 'asking') return false
    const evidence = readEvidence(rows)
    if (evidence === null) this.#failures++
    const verdict: CommitVerdict =
      evidence === null
        ? { outcome: this.#failures < MOST_FAILURES ? 'pending' : 'unknown', reason: 'the server cannot be asked' }
        : commitOutcome(this.#mark, evidence, { leastMs: this.#ageAskedMs, mostMs: this.#ageMs })
    if (verdict.outcome === 'pending') {
      this.#state = 'waiting'
      this.#arm(this.#session.host.now + PAUSE_MS)
      return true
    }
    this.#decide(verdict)
    return true
  }

  #decide({ outcome, reason }: CommitVerdict): void {
    const session = this.#session
    const { host } = session
    this.stop()
    host.log('info', 'COMMIT in doubt', { client: session.slot, xid: String(this.#mark.xid), outcome, reason })
    if (outcome === 'committed') {
      host.countPlane('commitsConfirmed')
      this.#state = 'committed'
      session.resume()
      return
    }
    this.#state = 'over'
    if (outcome !== 'aborted') {
      this.#tellUnknown(reason)
      return
    }
    host.countPlane('commitsAborted')
    const isReplayed = this.#retained !== null && session.replay(this.#retained)
    if (!isReplayed) session.refuseCommit(abortedError(reason))
  }

  #tellUnknown(reason: string): void {
    this.#session.host.countPlane('commitsUnknown')
    this.#session.refuseCommit(unknownError(reason))
  }

  /** The server connection that was asked, or that got the COMMIT again, is gone. */
  onServerLost(): void {
    if (this.#state === 'asking' || this.#state === 'waiting') this.#state = 'open'
  }

  /** The session waits no longer for a server connection. Returns what to tell the client. */
  giveUp(why: ErrorFields): ErrorFields {
    if (this.#state === 'committed' || this.#state === 'over') return why
    this.#state = 'over'
    this.stop()
    this.#session.host.countPlane('commitsUnknown')
    return unknownError(why.message)
  }

  stop(): void {
    this.#session.host.timers.disarm(this.#timer)
  }

  #arm(at: number): void {
    this.#session.host.timers.arm(this.#timer, Math.min(at, this.#until))
  }

  #wake(): void {
    if (this.#session.host.now < this.#until) {
      if (this.#state !== 'waiting') return
      this.#state = 'open'
      this.#session.resume()
      return
    }
    this.#state = 'over'
    this.#tellUnknown('the server did not answer in time')
  }
}

function abortedError(reason: string): ErrorFields {
  return {
    ...ERROR('40001', 'the transaction was rolled back: the server connection was lost while it was ending'),
    detail: reason,
    hint: 'the client connection is kept; run the transaction again',
  }
}

function unknownError(reason: string): ErrorFields {
  return {
    ...ERROR('08007', 'the server connection was lost while the transaction was ending: its outcome is unknown'),
    detail: reason,
    hint: LOOK_FIRST,
  }
}
