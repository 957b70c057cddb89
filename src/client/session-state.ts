import type { Luggage } from '../continuity/safe-point.ts'
import { CLIENT_STEP, PIN } from '../memory/client-slots.ts'
import { STATUS } from '../protocol/message-type.ts'
import type { ErrorFields } from '../protocol/messages.ts'
import type { Rows } from '../server/captured-rows.ts'
import type { ReplyQueue } from '../server/reply-queue.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import { inquirySql } from '../session/inquiry.ts'
import type { ParameterRegistry, ParameterSet } from '../session/parameters.ts'
import { type PinsSnapshot, type PinWatcher, SessionPins } from '../session/session-pins.ts'
import { STATEMENT_TIMEOUT, UNHURRIED } from '../session/setting-statements.ts'
import type { SqlStatement } from '../session/sql-statement.ts'
import { type Effects, FACT } from '../sql/statement-effects.ts'
import type { DeferredBegin } from './deferred-begin.ts'
import { NOTHING, type Restored, SessionSettings, type SettingsSnapshot } from './session-settings.ts'
import { settingsSql } from './settings-sql.ts'

const ENDS_TRANSACTION = FACT.commits | FACT.rollsBack | FACT.preparesTransaction
/** Fails inside of a transaction, and says to whoever reads the server's log why. */
const LOSE_TRANSACTION = 'BEGIN;ROLLBACK TO SAVEPOINT "the transaction was lost with its server connection"'
/** How that fails: there is no such savepoint. */
const NO_SUCH_SAVEPOINT = '3B001'
/** What sequences gave other sessions is none of this one's business. */
const FORGET_SEQUENCES = 'DISCARD SEQUENCES'

/** `commit`: PREPARE TRANSACTION too, and whenever a COMMIT is among several. */
export type TransactionEnding = 'none' | 'rollback' | 'commit'

/** What a section has no numbers for. */
export interface StateSnapshot {
  readonly pins: PinsSnapshot | null
  readonly settings: SettingsSnapshot | null
  readonly begin: DeferredBegin | null
  /** Rarely there. */
  readonly luggage?: Luggage
}

/**
 * What makes a session this client's, besides its prepared statements: its settings, the reasons why it must keep its server
 * connection, and a transaction it believes in. Knows how to put a server connection into that state, and what to ask one
 * about it.
 */
export class SessionState {
  readonly #registry: ParameterRegistry
  readonly #watcher: PinWatcher
  /** Null: nothing has ever pinned it. */
  #pins: SessionPins | null = null
  readonly #settings: SessionSettings
  /** Since it got its server connection it has sent nothing but BEGIN. */
  #onlyBegun = false
  #transactionLost = false
  /** The ReadyForQuery, counted since the server connection began, behind the last text that ends a transaction. */
  #endsWith = 0
  #mayCommit = false
  /** The statements that put the server connection into this state are on their way. */
  #isRestoring = false
  /** Null: no transaction is open, or its BEGIN has gone to the server as any statement. */
  deferredBegin: DeferredBegin | null = null
  /** What it had on a server connection that it has left, and has on no other yet; null: nothing. */
  #luggage: Luggage | null = null
  /** Found by the last review that asked for them. */
  #statements: readonly SqlStatement[] = []

  constructor(registry: ParameterRegistry, watcher: PinWatcher) {
    this.#registry = registry
    this.#watcher = watcher
    this.#settings = new SessionSettings(registry)
  }

  /** PIN bits. */
  get pins(): number {
    return this.#pins?.bits ?? 0
  }

  /** Why the session could not go on without this server connection at this moment; PIN bits. */
  tiesTo({ queue }: ServerConnection): number {
    return this.#settings.isAtRisk(queue.answered) ? this.pins | PIN.setting : this.pins
  }

  /** The server connection may be somebody else's after an inquiry at the earliest. */
  get keepsServer(): boolean {
    return this.pins !== 0 || this.#settings.isAsking
  }

  /** An inquiry is under way. */
  get isAsking(): boolean {
    return this.#settings.isAsking
  }

  /** The server connection can be given to anybody, as it is. */
  get leavesNothing(): boolean {
    return this.pins === 0 && !this.isOpaque && !this.#settings.isUnsettled
  }

  get parameters(): ParameterSet | null {
    return this.#settings.parameters
  }

  /** What the settings were after login. */
  get initial(): ParameterSet | null {
    return this.#settings.initial
  }

  /** The client believes in a transaction whose server connection is gone. */
  get transactionLost(): boolean {
    return this.#transactionLost
  }

  /** What was sent and is not answered ends the transaction in this way, if it succeeds. */
  ending(queue: ReplyQueue): TransactionEnding {
    if (this.#endsWith <= queue.answered) return 'none'
    return this.#mayCommit ? 'commit' : 'rollback'
  }

  /** Logged in with these settings; null: its server connection is its own for life, so nobody need know them. */
  begin(parameters: ParameterSet | null): void {
    this.#settings.begin(parameters)
  }

  /** As another process has known them. */
  resume(initial: ParameterSet, parameters: ParameterSet): void {
    this.#settings.begin(initial)
    this.#settings.goOnWith(parameters)
  }

  /** Goes back to settings that it had before. */
  goBackTo(parameters: ParameterSet): void {
    if (this.#settings.parameters !== null) this.#settings.goOnWith(parameters)
  }

  /** CLIENT_STEP bits. */
  get stepFlags(): number {
    return (
      (this.#onlyBegun ? CLIENT_STEP.onlyBegun : 0) |
      (this.#transactionLost ? CLIENT_STEP.transactionLost : 0) |
      (this.#mayCommit ? CLIENT_STEP.mayCommit : 0) |
      (this.#isRestoring ? CLIENT_STEP.restoring : 0)
    )
  }

  /** How many ReadyForQuery are still to come of those that `ending` is about. */
  endsAfter(queue: ReplyQueue): number {
    return Math.max(0, this.#endsWith - queue.answered)
  }

  /** Null: there is nothing more to say. */
  get snapshot(): StateSnapshot | null {
    const pins = this.#pins?.snapshot ?? null
    const settings = this.#settings.snapshot
    const begin = this.deferredBegin
    if (this.#luggage !== null) return { pins, settings, begin, luggage: this.#luggage }
    return pins === null && settings === null && begin === null ? null : { pins, settings, begin }
  }

  /** As another process had it; `begin` or `resume` comes first. */
  restore(flags: number, endsAfter: number, pins: number, snapshot: StateSnapshot | null): void {
    this.#onlyBegun = (flags & CLIENT_STEP.onlyBegun) !== 0
    this.#transactionLost = (flags & CLIENT_STEP.transactionLost) !== 0
    this.#mayCommit = (flags & CLIENT_STEP.mayCommit) !== 0
    this.#isRestoring = (flags & CLIENT_STEP.restoring) !== 0
    this.#endsWith = endsAfter
    if (pins !== 0 || snapshot?.pins) this.#needPins().restore(pins, snapshot?.pins ?? null)
    if (snapshot?.settings) this.#settings.restore(snapshot.settings)
    this.deferredBegin = snapshot?.begin ?? null
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
    this.#transactionLost = transactionLost
    this.deferredBegin = null
    this.changeServer()
  }

  /** The server connection is gone, and nothing that counts has been done there: another one is put into the same state. */
  changeServer(): void {
    if (this.deferredBegin !== null) this.deferredBegin.isSent = false
    this.#isRestoring = false
    this.#pins?.leave()
    this.#settings.forget()
  }

  /** Transaction status, as the client knows it; `server` may have the BEGIN still before it. */
  statusOn(server: ServerConnection): number {
    return this.deferredBegin !== null && server.status === STATUS.idle ? STATUS.inTransaction : server.status
  }

  /** The transaction status that the client believes in while there is no server connection. */
  get idleStatus(): number {
    if (this.#transactionLost) return STATUS.failed
    return this.deferredBegin === null ? STATUS.idle : STATUS.inTransaction
  }

  /**
   * SQL that makes `server` this session's; empty when it is as it should be. `effects`: of what comes next. `serial`: the
   * session's number. `channels`: SQL that listens to what the session listens to.
   *
   * It is a transaction of its own: when it fails, what the client has sent behind it fails too, because the transaction is
   * still open, and nothing runs in another state than it should.
   */
  preamble(server: ServerConnection, effects: Effects | null, serial: number, channels: string): string {
    this.#endsWith = 0
    if (server.hidesSettingsOf === serial) this.#needPins().becomeOpaque()
    const { parameters } = this.#settings
    const hides = server.hidesSettingsOf !== 0 && server.hidesSettingsOf !== serial
    const fits = parameters === null || (parameters === server.parameters && !hides)
    // The first text's own effects are noted next.
    this.#onlyBegun = effects === null || (effects.flags & FACT.readsSequence) === 0
    if (fits && this.#onlyBegun && !this.#transactionLost && channels === '') return ''
    const unhurried = server.parameters.values.has(STATEMENT_TIMEOUT) ? UNHURRIED : ''
    const difference = fits ? '' : settingsSql(this.#registry, server, parameters, serial)
    if (!fits) server.parameters = parameters
    const changes = difference === '' || channels === '' ? difference + channels : `${difference};${channels}`
    this.#isRestoring = changes !== ''
    const sql: string[] = []
    if (this.#isRestoring) sql.push(`BEGIN ISOLATION LEVEL READ COMMITTED;${unhurried}${changes};COMMIT`)
    if (!this.#onlyBegun) sql.push(FORGET_SEQUENCES)
    if (this.#transactionLost) sql.push(LOSE_TRANSACTION)
    return sql.join(';')
  }

  /** A BEGIN that is to be sent behind the preamble; empty: there is none. It is taken for sent. */
  takeBegin(): string {
    const begin = this.deferredBegin
    if (begin === null || begin.isSent) return ''
    begin.isSent = true
    return begin.sql
  }

  /** A text that may end a transaction has to wait: it could end the one in which a preamble has failed. */
  mustWait(effects: Effects | null, server: ServerConnection | null): boolean {
    // Nor may one end a transaction that is run again, before it is certain that it is the same.
    if (!this.#isRestoring && server?.relay.delivery.isEchoing !== true) return false
    return effects === null || (effects.flags & ENDS_TRANSACTION) !== 0
  }

  /** The server is being asked for settings that it may have at another value than the session. */
  awaitsSettings(server: ServerConnection | null): boolean {
    return (this.#luggage !== null && server !== null) || this.#settings.mustAwait(server)
  }

  get luggage(): Luggage | null {
    return this.#luggage
  }

  /** Prepared in SQL, as far as the last `inspect` has found. */
  get sqlStatements(): readonly SqlStatement[] {
    return this.#statements
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
    const isMeant = this.#transactionLost && failure?.sqlstate === NO_SUCH_SAVEPOINT
    if (failure === null || isMeant) this.#transactionLost = false
    return failure === null || isMeant
  }

  /** SQL that has to go ahead of a text with these effects, mostly none. */
  ahead(effects: Effects): string {
    // As long as it has only begun a transaction here, any number it could read is another session's.
    const readsForeign = this.#onlyBegun && (effects.flags & FACT.readsSequence) !== 0 && this.pins === 0
    return readsForeign ? FORGET_SEQUENCES : ''
  }

  #end(flags: number, queue: ReplyQueue): void {
    if (this.ending(queue) === 'none') this.#mayCommit = false
    this.#mayCommit ||= (flags & (FACT.commits | FACT.preparesTransaction)) !== 0
    this.#endsWith = queue.answered + queue.outstanding + 1
  }

  /** A text with these effects is sent now. */
  note(effects: Effects, server: ServerConnection | null, isSent = false): void {
    const { flags, pins } = effects
    this.#onlyBegun &&= flags === FACT.begins
    if (server !== null && (flags & ENDS_TRANSACTION) !== 0) this.#end(flags, server.queue)
    if ((flags & FACT.discardsSequences) !== 0) this.#pins?.end(PIN.sequence)
    if ((flags & FACT.discardsAll) !== 0) this.#pins?.endAll()
    if (pins !== 0) this.pin(pins)
    if ((flags & FACT.sets) !== 0) this.#settings.touch(effects, server, isSent)
    if ((flags & FACT.resetsAll) !== 0) this.#settings.touchAll(server, false)
    if ((flags & FACT.discardsAll) !== 0) this.#settings.touchAll(server, true)
    if ((flags & FACT.undoes) !== 0) this.#settings.undo()
    if ((flags & FACT.frees) !== 0) this.#pins?.free()
  }

  /** The same for a query that has been sent already. */
  noteSent(effects: Effects, server: ServerConnection | null): void {
    this.note(effects, server, true)
    // Its own ReadyForQuery is owed by now.
    if ((effects.flags & ENDS_TRANSACTION) !== 0) this.#endsWith--
  }

  /** A statement is sent that does nothing to the session. */
  noteHarmless(): void {
    this.#onlyBegun = false
  }

  /** A statement that touches settings is bound to a portal, to be executed later. */
  bound(): void {
    this.#settings.bound()
  }

  /** A portal is executed. */
  executed(): void {
    this.#settings.executed()
  }

  /** The server reports a value. Returns what to tell the client, null: nothing. */
  report(name: string, value: string, server: ServerConnection | null): string | null {
    return this.#settings.report(name, value, server)
  }

  /** DISCARD ALL or DISCARD SEQUENCES has succeeded. */
  discarded(): void {
    this.#pins?.ended()
  }

  /** Something failed: what was to be reset was not. */
  fail(): void {
    this.#pins?.fail()
    this.#settings.undo()
  }

  /** What was reset may have a value of the startup packet, which the server does not know of. */
  get mayHaveFallen(): boolean {
    return this.#settings.mayHaveFallen
  }

  /** Everything sent has been answered. `isIdle`: no transaction is open. Returns what the client has to be told. */
  settle(server: ServerConnection, isIdle: boolean): Restored {
    if (!isIdle) return NOTHING
    this.#pins?.settle()
    return this.#settings.isUnsettled ? this.#settings.settle(server) : NOTHING
  }

  /** What to ask the server before it can be used or given back; empty when that need not be. */
  inquiry(): string {
    if (this.pins !== 0 && !this.#settings.mayHaveFallen) return ''
    const inquiry = this.#settings.ask()
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
    return inquirySql(this.#settings.review(scan, false))
  }

  /** The same, to know all that has to be taken along to another server connection. */
  inspect(): string {
    this.#needPins().review()
    return inquirySql(this.#settings.review(true, true))
  }

  /** The answer, null when there is none. Returns what the client has to be told. */
  answer(rows: Rows | null, server: ServerConnection): Restored {
    const answer = this.#settings.answer(rows, server)
    if (answer === null) {
      this.#needPins().unanswered()
      return NOTHING
    }
    this.#statements = answer.statements
    // Somebody else looks after channels that others hear for the session.
    this.#needPins().answered(answer.pins, server.listens ? ~PIN.listen : ~0)
    return answer.restored
  }
}
