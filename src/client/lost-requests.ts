import { FRONTEND, lengthAt } from '../protocol/message-type.ts'
import type { CalledFunction } from '../sql/function-calls.ts'
import { FACT } from '../sql/statement-effects.ts'
import type { StatementFacts } from '../sql/statement-facts.ts'
import { INTENT } from '../sql/statement-intent.ts'
import type { TreeFacts } from '../sql/tree-facts.ts'
import { type StatementTail, type StatementUse, statementUses } from './client-messages.ts'

/** What PostgreSQL's parser says of the text `bytes[start, end)`; null: nothing. */
export type Opinion = (bytes: Buffer, start: number, end: number) => TreeFacts | null

const LONE_BEGIN = /^\s*(?:begin|start\s+transaction)\b[^;]*;?\s*$/i
const LONGEST_BEGIN = 128

/** Messages that carry no statement and change nothing that outlives them. */
const NEUTRAL: ReadonlySet<number> = new Set([
  FRONTEND.describe,
  FRONTEND.execute,
  FRONTEND.close,
  FRONTEND.sync,
  FRONTEND.flush,
])
/** The data of a COPY is sent again as it is. */
const COPYING: ReadonlySet<number> = new Set([FRONTEND.copyData, FRONTEND.copyDone, FRONTEND.copyFail])

/**
 * Whether whole messages of a client, from a point at which it had no transaction, do nothing but read, or begin one. False also for what
 * cannot be told: functions that nobody knows, statements that are not kept.
 */
export function onlyReads(messages: Buffer, opinion: Opinion, tailOf: StatementTail): boolean {
  for (const use of statementUses(messages, tailOf)) {
    const isRead =
      use.kind === 'other'
        ? NEUTRAL.has(use.type)
        : use.kind !== 'unknown' && (reads(opinionOf(use, opinion)) || isLoneBegin(use))
    if (!isRead) return false
  }
  return messages.length > 0
}

function opinionOf({ bytes, start, end }: StatementUse, opinion: Opinion): TreeFacts | null {
  return opinion(bytes, start, end)
}

/** It opens a transaction and does nothing else, so nothing is there when it is lost. */
function isLoneBegin({ bytes, start, end }: StatementUse): boolean {
  return end - start <= LONGEST_BEGIN && LONE_BEGIN.test(bytes.toString('latin1', start, end))
}

function reads(facts: TreeFacts | null): boolean {
  return facts !== null && facts.intent === INTENT.read && facts.pins === 0 && facts.calls.length === 0
}

/** Whether all messages of a transaction do nothing but read, or are about the transaction itself. `isReading`: about functions. */
export function onlyReadsSoFar(
  messages: Buffer,
  opinion: Opinion,
  tailOf: StatementTail,
  isReading: (calls: readonly CalledFunction[]) => boolean,
): boolean {
  for (const use of statementUses(messages, tailOf)) {
    if (use.kind === 'other' && NEUTRAL.has(use.type)) continue
    const facts = use.kind === 'other' || use.kind === 'unknown' ? null : opinionOf(use, opinion)
    if (facts === null || facts.intent === INTENT.write || facts.pins !== 0) return false
    if (facts.calls.length > 0 && !isReading(facts.calls)) return false
  }
  return messages.length > 0
}

/** Messages that are answered by a ReadyForQuery. */
const ENDING: ReadonlySet<number> = new Set([FRONTEND.query, FRONTEND.sync, FRONTEND.functionCall])

/**
 * How many of these bytes, whole messages of a client, have been answered in full, if so many ReadyForQuery are still owed for them.
 * At least `least`, of which that is known.
 */
export function answeredPart(messages: Buffer, least: number, owed: number): number {
  const ends: number[] = []
  for (const { type, at } of statementUses(messages.subarray(least), () => null)) {
    if (ENDING.has(type)) ends.push(least + at + 1 + lengthAt(messages, least + at + 1))
  }
  return ends.at(-1 - owed) ?? least
}

/** The words of a COMMIT that is nothing else. */
const COMMIT = /^\s*(?:commit|end)(?:\s+(?:work|transaction))?\s*;?\s*$/i
const LONGEST_COMMIT = 64

/** Whether whole messages of a client are one COMMIT, with or without the Sync behind it. */
export function isLoneCommit(messages: Buffer, tailOf: StatementTail): boolean {
  let commits = 0
  let isSynced = false
  for (const { kind, type, bytes, start, end } of statementUses(messages, tailOf)) {
    if (isSynced) return false
    isSynced = type === FRONTEND.sync
    if (kind === 'query' || kind === 'bind') commits++
    const isCommit = kind !== 'other' && kind !== 'unknown' && isCommitText(bytes, start, end)
    if (!isCommit && !(kind === 'other' && NEUTRAL.has(type))) return false
  }
  return commits === 1
}

function isCommitText(bytes: Buffer, start: number, end: number): boolean {
  return end - start <= LONGEST_COMMIT && COMMIT.test(bytes.toString('latin1', start, end))
}

/** Who is asked about the statements of a transaction. */
export interface TransactionReader {
  readonly opinion: Opinion
  /** Read anew for each text. */
  readonly facts: StatementFacts
  readonly tailOf: StatementTail
  /** The BEGIN has been answered, and is not among the messages. */
  readonly hasBegun: boolean
  /** It is known of all these functions that they leave nothing behind but what is undone with their transaction. */
  areHarmless(calls: readonly CalledFunction[]): boolean
}

const BEGIN = /^\s*(?:begin|start\s+transaction)\b/i
/** COPY with a file or a program of the server's. */
const COPY = /^\s*copy\b/i
const COPY_TO_CLIENT = /\b(?:stdin|stdout)\b/i
/** Functions of PostgreSQL's own that reach out of the transaction: what they have done is not undone with it. */
const REACHES_OUT =
  /\b(?:pg_(?:terminate|cancel)_backend|pg_reload_conf|pg_rotate_logfile\w*|pg_switch_wal|pg_create_restore_point|pg_logical_emit_message|pg_promote|pg_log_\w+|pg_wal_replay_\w+|pg_stat_reset\w*|pg_(?:create|drop|copy)_\w*replication_slot|pg_logical_slot_get_\w+|pg_replication_\w+|lo_(?:im|ex)port|dblink\w*)\s*\(/i
const ENDS = FACT.commits | FACT.rollsBack | FACT.preparesTransaction

/**
 * Why a transaction, all messages since before its BEGIN, must not be run a second time although nothing of it was committed; null:
 * it may. What its statements answer is compared with what they answered, so nothing is said here of those whose answers
 * differ each time.
 */
export function whyNotReplayable(messages: Buffer, reader: TransactionReader): string | null {
  const { opinion, facts, tailOf } = reader
  let isFirst = !reader.hasBegun
  for (const use of statementUses(messages, (name) => (name === '' ? null : tailOf(name)))) {
    if (use.kind === 'unknown') return 'it uses a statement that was prepared before, and is not known any more'
    if (use.kind === 'other') {
      if (NEUTRAL.has(use.type) || COPYING.has(use.type)) continue
      return 'it calls functions by number'
    }
    const text = use.bytes.toString('utf8', use.start, use.end)
    if (isFirst && !BEGIN.test(text)) return 'it did not begin with BEGIN'
    isFirst = false
    facts.read(use.bytes, use.start, use.end)
    if ((facts.flags & ENDS) !== 0) return 'it ends in between'
    if ((facts.flags & FACT.executes) !== 0) return 'it executes a statement by name'
    if ((COPY.test(text) && !COPY_TO_CLIENT.test(text)) || REACHES_OUT.test(text)) {
      return 'something in it reaches out of the transaction'
    }
    const tree = opinionOf(use, opinion)
    if (tree === null) return 'a statement in it is not understood'
    const isKnown = tree.calls.length === 0 || reader.areHarmless(tree.calls)
    if (tree.pins !== 0 || !isKnown) return 'a function in it may do more than PostgreSQL can undo'
  }
  return messages.length === 0 ? 'it is empty' : null
}
