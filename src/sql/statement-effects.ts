import type { CalledFunction } from './function-calls.ts'
import type { SettingValue } from './setting-scan.ts'

/** Bits of `StatementFacts.flags`. */
export const FACT = {
  /** BEGIN or START TRANSACTION. */
  begins: 1 << 0,
  /** COMMIT or END, not of a prepared transaction. */
  commits: 1 << 1,
  /** ROLLBACK or ABORT, not to a savepoint, not of a prepared transaction. */
  rollsBack: 1 << 2,
  /** More than one statement in the text. */
  several: 1 << 3,
  /** DISCARD ALL. */
  discardsAll: 1 << 4,
  /** DEALLOCATE ALL, DISCARD PLANS is none. */
  deallocatesAll: 1 << 5,
  deallocates: 1 << 6,
  /** The settings in `settings` are touched. */
  sets: 1 << 7,
  /** RESET ALL. */
  resetsAll: 1 << 8,
  /** ROLLBACK, also to a savepoint. */
  undoes: 1 << 10,
  /** EXECUTE of the statement whose name is at `nameStart`. */
  executes: 1 << 11,
  /** currval or lastval: the answer depends on what this session did before. */
  readsSequence: 1 << 9,
  /** PREPARE TRANSACTION. */
  preparesTransaction: 1 << 12,
  /** DROP, CLOSE, DISCARD …: what pinned the session may be gone. */
  frees: 1 << 13,
  /** PREPARE of a statement, whose name is at `nameStart`. */
  prepares: 1 << 15,
  /** DISCARD SEQUENCES. */
  discardsSequences: 1 << 14,
  /** Functions may be created, changed or dropped, or what calls them unseen: triggers, views, defaults … */
  defines: 1 << 22,
  /** LISTEN, to the channels in `channels` as far as their names are certain. */
  listens: 1 << 20,
  /** UNLISTEN of one channel or all. */
  unlistens: 1 << 21,
} as const

/** Whatever ends a transaction when it succeeds. */
const ENDS_TRANSACTION = FACT.commits | FACT.rollsBack | FACT.preparesTransaction

/** A transaction is over when this has been executed, and nothing has failed. */
export function endsTransaction({ flags }: Effects): boolean {
  return (flags & ENDS_TRANSACTION) !== 0
}

/** Whatever may change what a session listens to. */
const LISTENING = FACT.listens | FACT.unlistens | FACT.discardsAll

/** What a session listens to may be another when this has been executed. */
export function concernsListening({ flags }: Effects): boolean {
  return (flags & LISTENING) !== 0
}

/** What a statement does to its session when it is executed. */
export interface Effects {
  /** PIN bits. */
  readonly pins: number
  /** FACT bits. */
  readonly flags: number
  /** Lower-case names of settings that are touched for longer than the transaction, and what becomes of each. */
  readonly settings: readonly string[]
  readonly values: readonly SettingValue[]
  /** Channels that LISTEN names, as the server will know them. */
  readonly channels: readonly string[]
  /**
   * PIN.unknownFunction is there because of these and nothing else, so that it falls when the database says that they are
   * harmless; null: it stays, or is not there.
   */
  readonly calls: readonly CalledFunction[] | null
}
