import { PIN, type PinReason, pinReasons } from '../memory/client-slots.ts'
import type { SqlStatement } from '../session/sql-statement.ts'

/** A session and its server connection, at an instant. */
export interface SessionMoment {
  /** A transaction is open, or has failed and is not ended. */
  readonly isInTransaction: boolean
  /** Something that was sent to the server is not answered: a request of the client's, a COPY, a question of ours. */
  readonly isOwed: boolean
  /** A message of the client's has been sent in part, or an extended query without its Sync. */
  readonly isMidRequest: boolean
  /** What it listens to is about to change. */
  readonly isChangingChannels: boolean
  /** PIN bits. */
  readonly pins: number
}

export type SafePoint =
  /** Nothing ties it to its server connection. */
  | { readonly kind: 'moves' }
  /** The server has to be asked what of the session lies in it: `relocation` says then. */
  | { readonly kind: 'asks' }
  /** Not at this instant. */
  | { readonly kind: 'waits'; readonly reason: string }
  | { readonly kind: 'stays'; readonly reason: string }

/** What a session takes with it from one server connection to another, besides its settings and what it listens to. */
export interface Luggage {
  /** PIN bits that it has again when it has arrived. */
  readonly pins: number
  /** In the order in which they are made again. */
  readonly statements: readonly SqlStatement[]
}

export type Relocation =
  | { readonly kind: 'moves'; readonly luggage: Luggage }
  | { readonly kind: 'stays'; readonly reason: string }

/** Why state of a session cannot be had again elsewhere; null: it can, or need not. */
const UNMOVABLE: Readonly<Record<PinReason, string | null>> = {
  sessionMode: null,
  sqlPrepare: null,
  sequence: null,
  setting: 'it has settings that cannot be found out',
  temporaryObject: 'it has temporary objects',
  // Between the old server connection and the new one somebody else may take it, and nobody could prove that nobody did.
  advisoryLock: 'it holds a session lock, which would be nobody’s for a moment',
  holdCursor: 'it has a cursor WITH HOLD',
  listen: 'it listens on its own server connection',
  load: 'it has loaded a library',
  unknownFunction: 'it has called a function that may have left something behind',
  undecidedStatement: 'it has run a statement that may have left something behind',
  replication: 'it replicates',
  console: 'it is a console',
  randomSeed: 'it has set the seed of its random numbers',
  longStatement: 'it has prepared a statement that is too long to be kept',
}
/** The server can tell whether these are there still. */
const ASKABLE =
  PIN.temporaryObject |
  PIN.advisoryLock |
  PIN.holdCursor |
  PIN.listen |
  PIN.sqlPrepare |
  PIN.unknownFunction |
  PIN.undecidedStatement
/**
 * Nobody can say what currval and lastval were without having been told, and nobody can set them without changing the
 * sequence for all. Behind a move they are undefined (55000), as in a session that has asked for no number yet.
 */
const LEFT_BEHIND = PIN.sequence

/** Whether a session may change its server connection at this instant. Pure. */
export function safePoint(moment: SessionMoment): SafePoint {
  if (moment.isMidRequest) return waits('a request of it is on its way')
  if (moment.isOwed) return waits('it waits for an answer')
  if (moment.isInTransaction) return waits('it is in a transaction')
  if (moment.isChangingChannels) return waits('what it listens to is changing')
  if (moment.pins === 0) return { kind: 'moves' }
  const why = reasonAgainst(moment.pins & ~ASKABLE)
  return why === null ? { kind: 'asks' } : stays(why)
}

/**
 * The same for a session that is pinned, now that its server was asked. `pins`: what is left of them; `statements`: those that it has
 * prepared in SQL; `isLone`: whether a text is one PREPARE and nothing else, so that it may be run again. Pure.
 */
export function relocation(
  pins: number,
  statements: readonly SqlStatement[],
  isLone: (text: string) => boolean,
): Relocation {
  const why = reasonAgainst(pins)
  if (why !== null) return stays(why)
  const mixed = statements.find(({ text }) => !isLone(text))
  if (mixed !== undefined) {
    return stays(`it prepared the statement "${mixed.name}" in one text with others, which would be run again`)
  }
  return { kind: 'moves', luggage: { pins: pins & ~LEFT_BEHIND, statements } }
}

/** Whether what was found where a session has arrived is what it left with. Pure. */
export function isUnpacked(luggage: Luggage, pins: number, statements: readonly SqlStatement[]): boolean {
  const expected = luggage.statements.length > 0 ? PIN.sqlPrepare : 0
  if (pins !== expected || statements.length !== luggage.statements.length) return false
  return luggage.statements.every((one) => statements.some((other) => isSame(one, other)))
}

function isSame(one: SqlStatement, other: SqlStatement): boolean {
  return one.name === other.name && one.text === other.text && one.types === other.types
}

function reasonAgainst(pins: number): string | null {
  for (const reason of pinReasons(pins)) if (UNMOVABLE[reason] !== null) return UNMOVABLE[reason]
  return null
}

function waits(reason: string): SafePoint {
  return { kind: 'waits', reason }
}

function stays(reason: string): { readonly kind: 'stays'; readonly reason: string } {
  return { kind: 'stays', reason }
}
