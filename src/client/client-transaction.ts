import { CLIENT_STEP } from '../memory/client-slots.ts'
import { STATUS } from '../protocol/message-type.ts'
import type { ReplyQueue } from '../server/reply-queue.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import { type Effects, endsTransaction, FACT } from '../sql/statement-effects.ts'
import type { DeferredBegin } from './deferred-begin.ts'

/** `commit`: PREPARE TRANSACTION too, and whenever a COMMIT is among several. */
export type TransactionEnding = 'none' | 'rollback' | 'commit'

/** The transaction that a client believes in, as far as its server connection does not know of it, or not yet of its end. */
export class ClientTransaction {
  /** Null: no transaction is open, or its BEGIN has gone to the server as any statement. */
  deferredBegin: DeferredBegin | null = null
  #isLost = false
  /** The ReadyForQuery, counted since the server connection began, behind the last text that ends a transaction. */
  #endsWith = 0
  #mayCommit = false

  /** The client believes in a transaction whose server connection is gone. */
  get isLost(): boolean {
    return this.#isLost
  }

  /** CLIENT_STEP bits. */
  get stepFlags(): number {
    return (this.#isLost ? CLIENT_STEP.transactionLost : 0) | (this.#mayCommit ? CLIENT_STEP.mayCommit : 0)
  }

  /** As another process had it. */
  restore(flags: number, endsAfter: number, begin: DeferredBegin | null): void {
    this.#isLost = (flags & CLIENT_STEP.transactionLost) !== 0
    this.#mayCommit = (flags & CLIENT_STEP.mayCommit) !== 0
    this.#endsWith = endsAfter
    this.deferredBegin = begin
  }

  /** The transaction status that the client believes in while there is no server connection. */
  get idleStatus(): number {
    if (this.#isLost) return STATUS.failed
    return this.deferredBegin === null ? STATUS.idle : STATUS.inTransaction
  }

  /** Transaction status, as the client knows it; `server` may have the BEGIN still before it. */
  statusOn({ status }: Pick<ServerConnection, 'status'>): number {
    return this.deferredBegin !== null && status === STATUS.idle ? STATUS.inTransaction : status
  }

  /** What was sent and is not answered ends the transaction in this way, if it succeeds. */
  ending({ answered }: Pick<ReplyQueue, 'answered'>): TransactionEnding {
    if (this.#endsWith <= answered) return 'none'
    return this.#mayCommit ? 'commit' : 'rollback'
  }

  /** How many ReadyForQuery are still to come of those that `ending` is about. */
  endsAfter({ answered }: Pick<ReplyQueue, 'answered'>): number {
    return Math.max(0, this.#endsWith - answered)
  }

  /** A server connection is had to which nothing has been sent. */
  settleIn(): void {
    this.#endsWith = 0
  }

  /** A BEGIN that is to be sent ahead of what comes next; empty: there is none. It is taken for sent. */
  takeBegin(): string {
    const begin = this.deferredBegin
    if (begin === null || begin.isSent) return ''
    begin.isSent = true
    return begin.sql
  }

  /** A text with these effects is sent now; `isSent`: it has been, and its own ReadyForQuery is owed by now. */
  note(effects: Effects, queue: Pick<ReplyQueue, 'answered' | 'outstanding'>, isSent: boolean): void {
    if (!endsTransaction(effects)) return
    if (this.ending(queue) === 'none') this.#mayCommit = false
    this.#mayCommit ||= (effects.flags & (FACT.commits | FACT.preparesTransaction)) !== 0
    this.#endsWith = queue.answered + queue.outstanding + (isSent ? 0 : 1)
  }

  /** The server connection is gone. `isLost`: the client believes in a transaction that it had there. */
  lose(isLost: boolean): void {
    this.#isLost = isLost
    this.deferredBegin = null
  }

  /** The server connection is gone, and another one is to get what that one got. */
  changeServer(): void {
    if (this.deferredBegin !== null) this.deferredBegin.isSent = false
  }

  /** The one that is lost is a failed one on a server connection by now. */
  failed(): void {
    this.#isLost = false
  }
}
