import type { ErrorFields } from '../protocol/messages.ts'
import type { ParameterSet } from '../session/parameters.ts'
import { STATEMENT_TIMEOUT, UNHURRIED } from '../session/setting-statements.ts'

/** What sequences gave other sessions is none of this one's business. */
export const FORGET_SEQUENCES = 'DISCARD SEQUENCES'
/** Fails inside of a transaction, and says to whoever reads the server's log why. */
const LOSE_TRANSACTION = 'BEGIN;ROLLBACK TO SAVEPOINT "the transaction was lost with its server connection"'
/** How that fails: there is no such savepoint. */
const NO_SUCH_SAVEPOINT = '3B001'

/** What a server connection lacks to be in a session's state. */
export interface Preamble {
  /** SQL that changes what it has; empty: nothing need be changed. */
  readonly changes: string
  /** Sequences have given numbers there, which the session may ask for. */
  readonly forgetsSequences: boolean
  /** The session believes in a transaction that is lost. */
  readonly losesTransaction: boolean
}

/**
 * SQL that puts a server connection with these settings into a session's state; empty when it is in it. What changes it is a
 * transaction of its own, ahead of whatever the client has sent.
 */
export function preambleSql(
  { values }: ParameterSet,
  { changes, forgetsSequences, losesTransaction }: Preamble,
): string {
  const sql: string[] = []
  const unhurried = values.has(STATEMENT_TIMEOUT) ? UNHURRIED : ''
  if (changes !== '') sql.push(`BEGIN ISOLATION LEVEL READ COMMITTED;${unhurried}${changes};COMMIT`)
  if (forgetsSequences) sql.push(FORGET_SEQUENCES)
  if (losesTransaction) sql.push(LOSE_TRANSACTION)
  return sql.join(';')
}

/** The error that makes a lost transaction a failed one. */
export function isMeantToFail({ sqlstate }: ErrorFields): boolean {
  return sqlstate === NO_SUCH_SAVEPOINT
}
