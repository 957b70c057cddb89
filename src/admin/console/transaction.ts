/** As in ReadyForQuery. */
export type TransactionStatus = 'I' | 'T' | 'E'
export type TransactionEvent = 'begin' | 'commit' | 'rollback' | 'error'

/**
 * The transaction that a driver believes it has. The console has none, but drivers check the letters:
 * I outside; T after BEGIN; E after an error in T, until COMMIT or ROLLBACK.
 */
const NEXT: Record<TransactionStatus, Record<TransactionEvent, TransactionStatus>> = {
  I: { begin: 'T', commit: 'I', rollback: 'I', error: 'I' },
  T: { begin: 'T', commit: 'I', rollback: 'I', error: 'E' },
  E: { begin: 'E', commit: 'I', rollback: 'I', error: 'E' },
}

export function transactionAfter(status: TransactionStatus, event: TransactionEvent): TransactionStatus {
  return NEXT[status][event]
}
