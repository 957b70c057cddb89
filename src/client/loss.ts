import { PIN, pinReasons } from '../memory/client-slots.ts'
import { STATUS } from '../protocol/message-type.ts'
import { type ErrorFields, writeError, writeReady } from '../protocol/messages.ts'
import type { MessageWriter } from '../protocol/writer.ts'
import type { ServerLoss } from '../server/reply-sink.ts'
import { FATAL } from './client-host.ts'
import type { TransactionEnding } from './client-transaction.ts'

/** A session at the moment its server connection was lost. */
export interface LossSituation {
  readonly welcoming: boolean
  /** PIN bits. */
  readonly pins: number
  /** Transaction status of the last ReadyForQuery. */
  readonly status: number
  /** ReadyForQuery owed to the client. */
  readonly outstanding: number
  /** Requests of an extended query were sent, and its Sync was not. */
  readonly unfinished: boolean
  /** How what was sent and is not answered was to end the transaction. */
  readonly ending: TransactionEnding
  /** Outside of a transaction, something was asked that does not certainly do nothing but read. */
  readonly mayHaveWritten: boolean
}

/** What to do where nobody knows whether it was done: never simply the same again. */
export const LOOK_FIRST = 'look whether what it has written is there before you run it again'
const TRY_AGAIN = 'the client connection is kept; try again'

export type LossVerdict =
  /** The session cannot go on. `fields` null: not even an error can be said. */
  | { readonly kind: 'close'; readonly fields: ErrorFields | null }
  | {
      readonly kind: 'continue'
      readonly fields: ErrorFields
      /** How many times the error and ReadyForQuery are owed. 0: nothing was asked, so it is only a warning. */
      readonly answers: number
      readonly unfinished: boolean
      /** The client believes in a transaction that no longer exists. */
      readonly transactionLost: boolean
    }

/**
 * What a client is told when its server connection dies, and whether its session can go on. Pure.
 *
 * It goes on whenever the protocol has a place for an error and the connection held nothing of the session: an open
 * transaction becomes a failed one, exactly as after an error in it.
 */
export function describeLoss(loss: ServerLoss, situation: LossSituation): LossVerdict {
  const { pins, status, outstanding, unfinished, ending } = situation
  const cause = loss.fields?.message ?? loss.reason
  if (loss.midMessage) return { kind: 'close', fields: null }
  if (situation.welcoming || (pins & PIN.console) !== 0) {
    return { kind: 'close', fields: FATAL('08006', `the server connection was lost: ${cause}`) }
  }
  const inTransaction = status === STATUS.inTransaction || status === STATUS.failed
  const asked = outstanding > 0 || unfinished
  const isInDoubt = asked && (inTransaction ? ending === 'commit' : situation.mayHaveWritten)
  if (pins !== 0) {
    const state = pinReasons(pins).join(', ')
    const lost = FATAL('08006', `the server connection was lost, and with it session state (${state}): ${cause}`)
    const fields = {
      ...lost,
      sqlstate: '08007',
      detail: 'The outcome of what was asked last is unknown.',
      hint: LOOK_FIRST,
    }
    return { kind: 'close', fields: isInDoubt ? fields : lost }
  }
  if (isInDoubt && inTransaction) {
    const message = 'the server connection was lost while the transaction was ending: its outcome is unknown'
    const fields = lossError('08007', message, cause, LOOK_FIRST)
    return { kind: 'continue', fields, answers: outstanding, unfinished, transactionLost: false }
  }
  const fields = inTransaction
    ? lossError('08006', 'the server connection was lost: the transaction is rolled back', cause, TRY_AGAIN)
    : outsideError(isInDoubt, cause)
  return {
    kind: 'continue',
    fields: asked ? fields : { ...fields, severity: 'WARNING' },
    answers: outstanding,
    unfinished,
    transactionLost: inTransaction && ending === 'none',
  }
}

/** A statement that is a transaction of its own. */
function outsideError(isInDoubt: boolean, cause: string): ErrorFields {
  const message = 'the server connection was lost while it worked on the query'
  return isInDoubt
    ? lossError('08007', `${message}: its outcome is unknown`, cause, LOOK_FIRST)
    : lossError('08006', `${message}, which has written nothing`, cause, TRY_AGAIN)
}

function lossError(sqlstate: string, message: string, cause: string, hint: string): ErrorFields {
  return { severity: 'ERROR', sqlstate, message, detail: cause, hint }
}

/** The messages for a verdict that goes on. */
export function explainLoss(writer: MessageWriter, verdict: LossVerdict & { kind: 'continue' }): void {
  const status = verdict.transactionLost ? STATUS.failed : STATUS.idle
  for (let answer = 0; answer < verdict.answers; answer++) {
    writeError(writer, verdict.fields)
    writeReady(writer, status)
  }
  // A request that waits for its Sync is owed its error now and its ReadyForQuery then.
  if (verdict.unfinished || (verdict.answers === 0 && verdict.transactionLost)) writeError(writer, verdict.fields)
}
