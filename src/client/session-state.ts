import type { Luggage } from '../continuity/safe-point.ts'
import { CLIENT_STEP, PIN } from '../memory/client-slots.ts'
import { STATUS } from '../protocol/message-type.ts'
import type { ErrorFields } from '../protocol/messages.ts'
import type { Rows } from '../server/captured-rows.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import { inquirySql } from '../session/inquiry.ts'
import type { ParameterRegistry, ParameterSet } from '../session/parameters.ts'
import { type PinWatcher, SessionPins } from '../session/session-pins.ts'
import type { SqlStatement } from '../session/sql-statement.ts'
import { UNSEEN } from '../sql/passing-text.ts'
import { type Effects, endsTransaction, FACT } from '../sql/statement-effects.ts'
import { ClientTransaction } from './client-transaction.ts'
import { becomeParallel } from './parallelism.ts'
import { FORGET_SEQUENCES, isMeantToFail, preambleSql } from './preamble-sql.ts'
import type { StateSnapshot } from './session-record.ts'
import { NOTHING, type Restored, SessionSettings } from './session-settings.ts'

const CHANGES_SETTINGS = FACT.sets | FACT.resetsAll | FACT.discardsAll
const SETS_AND_RESETS = FACT.sets | FACT.resetsAll
const NO_STATEMENTS: readonly SqlStatement[] = []

/**
 * What makes a session this client's, besides its prepared statements: its settings, the reasons why it must keep its server
 * connection, and a transaction it believes in. Knows how to put a server connection into that state, and what to ask one
 * about it.
 */
export class SessionState {
  readonly #watcher: PinWatcher
  readonly transaction: ClientTransaction = new ClientTransaction()
  /** Null: nothing has ever pinned it. */
  #pins: SessionPins | null = null
  /** The values of its settings. */
  readonly values: SessionSettings
  /** Since it got its server connection it has sent nothing but BEGIN. */
  #onlyBegun = false
  /** It has asked for numbers of sequences where there were none of its own. */
  #missedNumbers = false
  /** The statements that put the server connection into this state are on their way. */
  #isRestoring = false
  /** What it had on a server connection that it has left, and has on no other yet; null: nothing. */
  #luggage: Luggage | null = null

  constructor(registry: ParameterRegistry, watcher: PinWatcher) {
    this.#watcher = watcher
    this.values = new SessionSettings(registry)
  }

  /** PIN bits. */
  get pins(): number {
    return this.#pins?.bits ?? 0
  }

  /** Why the session could not go on without this server connection at this moment; PIN bits. */
  tiesTo({ queue }: ServerConnection): number {
    return this.values.isAtRisk(queue.answered) ? this.pins | PIN.setting : this.pins
  }

  /** The server connection may be somebody else's after an inquiry at the earliest. */
  get keepsServer(): boolean {
    return this.pins !== 0 || this.values.isAsking
  }

  /** The server connection can be given to anybody, as it is. */
  get leavesNothing(): boolean {
    return this.pins === 0 && !this.isOpaque && !this.values.isUnsettled
  }

  get parameters(): ParameterSet | null {
    return this.values.parameters
  }

  /** CLIENT_STEP bits. */
  get stepFlags(): number {
    return (
      (this.#onlyBegun ? CLIENT_STEP.onlyBegun : 0) |
      (this.#isRestoring ? CLIENT_STEP.restoring : 0) |
      this.transaction.stepFlags
    )
  }

  /** Null: there is nothing more to say. */
  get snapshot(): StateSnapshot | null {
    const pins = this.#pins?.snapshot ?? null
    const settings = this.values.snapshot
    const { deferredBegin: begin } = this.transaction
    if (this.#luggage !== null) return { pins, settings, begin, luggage: this.#luggage }
    return pins === null && settings === null && begin === null ? null : { pins, settings, begin }
  }

  /** As another process had it; `begin` or `resume` of the values comes first. */
  restore(flags: number, endsAfter: number, pins: number, snapshot: StateSnapshot | null): void {
    this.#onlyBegun = (flags & CLIENT_STEP.onlyBegun) !== 0
    this.#isRestoring = (flags & CLIENT_STEP.restoring) !== 0
    this.transaction.restore(flags, endsAfter, snapshot?.begin ?? null)
    if (pins !== 0 || snapshot?.pins) this.#needPins().restore(pins, snapshot?.pins ?? null)
    if (snapshot?.settings) this.values.restore(snapshot.settings)
    this.#luggage = snapshot?.luggage ?? null
  }

  pin(bits: number): void {
    this.#needPins().add(bits)
  }

  #needPins(): SessionPins {
    this.#pins ??= new SessionPins(this.#watcher)
    return this.#pins
  }

  /** What pinned it is gone. */
  unpin(bits: number): void {
    this.#pins?.remove(bits)
  }

  /** The server connection is gone. `transactionLost`: the client believes in a transaction that it had there. */
  loseServer(transactionLost: boolean): void {
    this.transaction.lose(transactionLost)
    this.changeServer()
  }

  /** The server connection is gone, and nothing that counts has been done there: another one is put into the same state. */
  changeServer(): void {
    this.transaction.changeServer()
    this.#isRestoring = false
    this.#pins?.leave()
    this.values.forget()
  }

  /**
   * SQL that makes `server` this session's; empty when it is as it should be. `effects`: of what comes next. `serial`: the
   * session's number. `channels`: SQL that listens to what the session listens to. `isSerial`: its tier has no parallel workers.
   *
   * It is a transaction of its own: when it fails, what the client has sent behind it fails too, because the transaction is
   * still open, and nothing runs in another state than it should.
   */
  preamble(
    server: ServerConnection,
    effects: Effects | null,
    serial: number,
    channels: string,
    isSerial: boolean,
  ): string {
    this.transaction.settleIn()
    if (server.hidesSettingsOf === serial) this.#needPins().becomeOpaque()
    const { parameters } = this.values
    const hides = server.hidesSettingsOf !== 0 && server.hidesSettingsOf !== serial
    const fits = parameters === null || (parameters === server.parameters && !hides)
    // The first text's own effects are noted next.
    this.#onlyBegun = true
    const forgetsSequences = this.#missesNumbers(effects, server)
    const losesTransaction = this.transaction.isLost
    const parallelism = parameters === null ? '' : becomeParallel(server, parameters, isSerial, hides)
    if (fits && !forgetsSequences && !losesTransaction && channels === '' && parallelism === '') return ''
    const before = server.parameters
    const difference = fits ? '' : this.values.sqlFor(server, parameters, serial)
    if (!fits) server.parameters = parameters
    const changes = [difference, parallelism, channels].filter((sql) => sql !== '').join(';')
    this.#isRestoring = changes !== ''
    return preambleSql(before, { changes, forgetsSequences, losesTransaction })
  }

  /** A text that may end a transaction has to wait: it could end the one in which a preamble has failed. */
  mustWait(effects: Effects | null, server: ServerConnection | null): boolean {
    // Nor may one end a transaction that is run again, before it is certain that it is the same.
    if (!this.#isRestoring && server?.relay.delivery.isEchoing !== true) return false
    return effects === null || endsTransaction(effects)
  }

  /** The server is being asked for settings that it may have at another value than the session. */
  awaitsSettings(server: ServerConnection | null): boolean {
    return (this.#luggage !== null && server !== null) || this.values.mustAwait(server)
  }

  get luggage(): Luggage | null {
    return this.#luggage
  }

  /** Prepared in SQL, as far as the last `inspect` has found. */
  get sqlStatements(): readonly SqlStatement[] {
    return this.#pins?.statements ?? NO_STATEMENTS
  }

  /** Leaves its server connection, and takes this with it: nothing pins it any more. */
  pack(luggage: Luggage): void {
    this.#luggage = luggage
    this.unpin(~0)
  }

  /** Has on its server connection what it came with. */
  unpack(): void {
    const pins = this.#luggage?.pins ?? 0
    this.#luggage = null
    if (pins !== 0) this.pin(pins)
  }

  /** The server has answered the preamble; false when it could not be put into this session's state. */
  isRestored(failure: ErrorFields | null): boolean {
    this.#isRestoring = false
    const isRestored = failure === null || (this.transaction.isLost && isMeantToFail(failure))
    if (isRestored) this.transaction.failed()
    return isRestored
  }

  /** SQL that has to go ahead of a text with these effects, mostly none. */
  ahead(effects: Effects, server: ServerConnection): string {
    return server.queue.length === 0 && this.#missesNumbers(effects, server) ? FORGET_SEQUENCES : ''
  }

  /** Numbers of sequences are read, and those that are there another session's: to be forgotten. Its own, which it has by chance, it keeps. */
  #missesNumbers(effects: Effects | null, { work, status }: ServerConnection): boolean {
    const reads = effects !== null && (effects.flags & FACT.readsSequence) !== 0 && this.pins === 0
    const isKnown = reads && effects !== UNSEEN
    if (isKnown && work.numbers === 'own' && status === STATUS.idle) this.pin(PIN.sequence)
    const misses = (reads || this.#missedNumbers) && this.#onlyBegun && work.numbers === 'foreign'
    if (misses) work.numbers = 'none'
    this.#missedNumbers ||= misses && isKnown
    return misses
  }

  /** A text with these effects is sent now; `isSent`: it is a query that has been sent already. */
  note(effects: Effects, server: ServerConnection | null, isSent = false): void {
    const { flags, pins } = effects
    this.#onlyBegun &&= flags === FACT.begins
    if (server !== null) this.transaction.note(effects, server.queue, isSent)
    if ((flags & FACT.discardsSequences) !== 0) this.#pins?.end(PIN.sequence)
    if ((flags & FACT.discardsAll) !== 0) this.#pins?.endAll()
    if (pins !== 0) this.pin(pins)
    if ((flags & FACT.sets) !== 0) this.values.touch(effects, server, isSent)
    if ((flags & FACT.resetsAll) !== 0) this.values.touchAll(server, false)
    if ((flags & FACT.discardsAll) !== 0) this.values.touchAll(server, true)
    // Facts do not say which of several statements came last.
    if ((flags & FACT.undoes) !== 0 || (flags & SETS_AND_RESETS) === SETS_AND_RESETS) this.values.undo()
    if ((flags & FACT.frees) !== 0) this.#pins?.free()
    if (server?.parallelism === 'serial' && (flags & CHANGES_SETTINGS) !== 0) server.parallelism = 'unknown'
  }

  /** A statement is sent that does nothing to the session. */
  noteHarmless(): void {
    this.#onlyBegun = false
  }

  /** DISCARD ALL or DISCARD SEQUENCES has succeeded. */
  discarded(): void {
    this.#pins?.ended()
  }

  /** Something failed: what was to be reset was not. */
  fail(): void {
    this.#pins?.fail()
    this.values.undo()
  }

  /** Everything sent has been answered. `isIdle`: no transaction is open. Returns what the client has to be told. */
  settle(server: ServerConnection, isIdle: boolean): Restored {
    if (!isIdle) return NOTHING
    if (this.#missedNumbers && server.work.numbers === 'own') this.pin(PIN.sequence)
    this.#pins?.settle()
    return this.values.isUnsettled ? this.values.settle(server) : NOTHING
  }

  /** What to ask the server before it can be used or given back; empty when that need not be. */
  inquiry(): string {
    if (this.pins !== 0 && !this.values.mayHaveFallen) return ''
    const inquiry = this.values.ask()
    return inquiry === null ? '' : inquirySql(inquiry)
  }

  /** The server can tell whether the reasons why the session keeps it are gone. */
  get isReviewable(): boolean {
    return this.#pins?.isReviewable === true && this.parameters !== null
  }

  /** Something was run on this server connection that may have changed settings which no question finds. */
  get isOpaque(): boolean {
    return this.#pins?.isOpaque === true
  }

  /** The server connection is given back. Returns `isOpaque`. */
  leave(): boolean {
    return this.#pins?.leave() === true
  }

  /** Something was run since the last time that may have ended the reason of a pin. */
  takeFreed(): boolean {
    return this.#pins?.takeFreed() === true
  }

  /** What to ask the server to know whether it can be given back although something pinned the session. */
  review(scan: boolean): string {
    this.#needPins().review()
    return inquirySql(this.values.review(scan, false))
  }

  /** The same, to know all that has to be taken along to another server connection. */
  inspect(): string {
    this.#needPins().review()
    return inquirySql(this.values.review(true, true))
  }

  /** The answer, null when there is none. Returns what the client has to be told. */
  answer(rows: Rows | null, server: ServerConnection): Restored {
    const answer = this.values.answer(rows, server)
    if (answer === null) {
      this.#needPins().unanswered()
      return NOTHING
    }
    // Somebody else looks after channels that others hear for the session.
    this.#needPins().answered(answer.pins, server.listens ? ~PIN.listen : ~0, answer.statements)
    return answer.restored
  }
}
