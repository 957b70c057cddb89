import type { NativeBuffer } from '../io/native.ts'
import { READ_HEADROOM } from '../io/read-buffers.ts'
import { HEADER_BYTES } from '../protocol/message-type.ts'
import type { Effects } from '../sql/statement-effects.ts'
import type { StatementFacts } from '../sql/statement-facts.ts'
import type { ClientHost } from './client-host.ts'
import type { Asker } from './read-routing.ts'
import type { RequestSession } from './request-session.ts'
import type { StatementRelay } from './statement-relay.ts'

/** A message that must be seen whole may be this long; longer ones stream through, and are looked at meanwhile. */
export const SEEN_BYTES: number = READ_HEADROOM - HEADER_BYTES
/** So much of those has to be there before anything is decided: names are at the beginning. */
const HEAD_BYTES = 16_384

/** The walk through a client's messages, as those see it that deal with one message. */
export interface RequestPassage extends Asker {
  readonly host: ClientHost
  readonly session: RequestSession
  /** Null: the client has prepared nothing. */
  readonly statements: StatementRelay | null
  needStatements(): StatementRelay
  /** The rest of the message at hand goes to the server. */
  bodyGoesOn: boolean
  /** A text is at hand that is not there as a whole. */
  readonly isPassing: boolean
  /** Facts of the text `source[start, stop - 1)`, as far as it is there. */
  look(source: NativeBuffer, start: number, stop: number, end: number): StatementFacts
  /** What may be assumed of it, before it has been seen whole: what is still to come may be anything. */
  effectsOf(facts: StatementFacts): Effects
  /** The text at hand needs no further look. */
  forgetText(): void
  /** Nor has what comes of it to be passed on. Returns `stop`. */
  abandonText(stop: number): number
  /** After an error in an extended query the server ignores everything up to the Sync. */
  skipped(): boolean
  /** The server owes an answer of this kind. */
  push(kind: number): void
  /** The message goes to the server as it is. Returns `stop`. */
  forward(source: NativeBuffer, at: number, stop: number, end: number): number
  /** The transaction on a replica ends with the message at `at`, once everything before it is answered. */
  leaveReplica(source: NativeBuffer, at: number, stop: number, end: number): number
  /** What follows has to wait until the server has answered what was sent. Returns −1. */
  hold(): number
  /** So many answers are owed that the server must be made to give some. Returns −1. */
  wait(): number
}

/**
 * Deals with one message of a client's, whose header is at `at` of `source` and whose end is `stop`; there are bytes up to `end`, which
 * may be before. Returns `stop`; `end` when the session is closed; −1: the message is to be kept for later.
 */
export type RequestHandler = (
  relay: RequestPassage,
  source: NativeBuffer,
  at: number,
  stop: number,
  end: number,
) => number

/** More of the message has to be there before it is dealt with: all of it, or, of a long one, its head. */
export function isTooShort(at: number, stop: number, end: number): boolean {
  return stop > end && (stop - at <= SEEN_BYTES || end - at < HEAD_BYTES)
}
