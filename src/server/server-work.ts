import type { ParameterSet } from '../session/parameters.ts'
import type { ReadAttempt } from './read-attempt.ts'
import { SentRecord } from './sent-record.ts'
import { TransactionMark } from './transaction-mark.ts'

/**
 * Whose numbers of sequences (`currval`, `lastval`) a server connection has, as far as is known.
 *
 * - foreign: those of whoever had it before, if any. none: it was told to forget them. own: what its client wrote came later.
 */
export type SequenceNumbers = 'foreign' | 'none' | 'own'

/**
 * What a server connection does for its client, as far as somebody has to know should it be lost: with this the work is run
 * again, asked elsewhere, or looked up.
 */
export class ServerWork {
  /** What its client has asked and is not answered. */
  readonly sent: SentRecord = new SentRecord()
  /** What it has said of the transaction that is open. */
  readonly mark: TransactionMark = new TransactionMark()
  /** What it was asked and may have to be asked of the primary; null: it never was asked such a thing. */
  attempt: ReadAttempt | null = null
  /** Its settings where `sent` begins. */
  startedWith: ParameterSet | null = null
  /** Something of the transaction that is open may have written. */
  hasWritten = false
  /** Somebody wants no answer to that any more. */
  isCancelled = false
  numbers: SequenceNumbers = 'foreign'
  /** Serial number of the session that has it, or had it last. */
  #holder = 0

  /** The session with this serial number has it from now on: the same one as before finds its numbers again. */
  take(serial: number): void {
    if (this.#holder === serial) return
    this.#holder = serial
    this.numbers = 'foreign'
  }

  /**
   * The next request begins, where everything before it is answered. `isIdle`: no transaction is open. True: `sent` begins
   * with it.
   */
  begin(isIdle: boolean, parameters: ParameterSet): boolean {
    this.isCancelled = false
    if (isIdle) this.hasWritten = false
    const isNew = this.sent.begin(isIdle)
    if (isNew) this.startedWith = parameters
    return isNew
  }
}
