import { CLIENT_STEP, PIN } from '../memory/client-slots.ts'
import { writeCloseStatement } from '../protocol/messages.ts'
import { MessageWriter } from '../protocol/writer.ts'
import { REPLY, SYNTHESIZE } from '../server/reply-queue.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import { dropUnnamed } from '../server/unnamed-owner.ts'
import { type PreparedStatement, SessionStatements } from '../session/prepared-statements.ts'
import { UnnamedStatement } from '../session/unnamed-statement.ts'
import { TEXT_LOST } from '../sql/passing-text.ts'
import { type Effects, FACT } from '../sql/statement-effects.ts'
import type { StatementFacts } from '../sql/statement-facts.ts'
import type { ClientHost } from './client-host.ts'
import type { SessionState } from './session-state.ts'
import { NOTHING, type StatementChange, StatementJournal } from './statement-journal.ts'

const writer = new MessageWriter()
const TRANSACTION_CONTROL = FACT.begins | FACT.commits | FACT.rollsBack

/** The session whose statements they are. */
export interface StatementOwner {
  readonly server: ServerConnection | null
  /** Serial number, unique in the plane. */
  readonly serial: number
  readonly settings: SessionState
}

/**
 * A session's prepared statements by the client's names, with what is sent and not answered: what an error has skipped is
 * taken back.
 */
export class StatementBook {
  readonly host: ClientHost
  readonly session: StatementOwner
  #named: SessionStatements | null = null
  readonly unnamed: UnnamedStatement
  /** The server connection has a statement, too long to be kept, under the client's own name. */
  #hasForeignName = false
  /** The one that was needed last on a server connection. */
  lastUsed: PreparedStatement | null = null
  #journal: StatementJournal | null = null
  /** An error has come, and what failed is told next. */
  #isFailing = false
  /** One of the named ones has to do with transactions, or had. */
  hasTransactionControl = false

  constructor(host: ClientHost, session: StatementOwner) {
    this.host = host
    this.session = session
    this.unnamed = new UnnamedStatement(host.statements)
  }

  /** By the client's names; null as long as there were none. */
  get named(): SessionStatements | null {
    return this.#named
  }

  /** CLIENT_STEP bits. */
  get stepFlags(): number {
    return (this.unnamed.isLong ? CLIENT_STEP.longUnnamed : 0) | (this.#hasForeignName ? CLIENT_STEP.foreignName : 0)
  }

  /** What is not confirmed yet; null: nothing but `unconfirmedUnnamed`. */
  get unconfirmed(): readonly StatementChange[] | null {
    if (this.#journal === null || this.#journal.isEmpty) return null
    return this.#journal.ofUnnamed > 0 ? null : this.#journal.all
  }

  /** How often the unnamed statement changes by what is not confirmed yet, if nothing else does: every extended query's Parse. */
  get unconfirmedUnnamed(): number {
    return this.#journal === null ? 0 : this.#journal.ofUnnamed
  }

  /** `name` means `statement`, as another process has known. */
  restore(name: string, statement: PreparedStatement): void {
    this.#named ??= new SessionStatements(this.host.statements)
    this.#named.put(name, statement)
    if (statement.effects === undefined) statement.effects = this.#effectsOf(statement.tail)
    this.#noteControl(statement.effects)
  }

  /** The same for the unnamed statement, what is not confirmed, and what is too long to be known. */
  restoreRest(flags: number, unnamed: Buffer | null, changes: readonly StatementChange[]): void {
    this.#hasForeignName = (flags & CLIENT_STEP.foreignName) !== 0
    const isLong = (flags & CLIENT_STEP.longUnnamed) !== 0
    const pending = changes.filter((change) => change.unnamed).length
    this.unnamed.restore(unnamed, unnamed === null ? null : this.#effectsOf(unnamed), isLong, pending)
    if (this.#hasForeignName || isLong) this.session.settings.pin(PIN.longStatement)
    if (changes.length === 0) return
    this.#journal = new StatementJournal()
    for (const change of changes) this.#journal.note(change)
  }

  #effectsOf(tail: Buffer): Effects | null {
    if (tail.length === 0) return TEXT_LOST
    const { facts } = this.host
    facts.read(tail, 0, tail.indexOf(0))
    return facts.keep()
  }

  get count(): number {
    return this.#named?.size ?? 0
  }

  get(name: string): PreparedStatement | undefined {
    return this.#named?.get(name)
  }

  /** Text, NUL and types of a statement, the unnamed one under the empty name; null: there is none, or it is too long to be kept. */
  tailOf(name: string): Buffer | null {
    if (name === '') return this.unnamed.tail
    const statement = this.get(name)
    return statement === undefined || statement.isLong ? null : statement.tail
  }

  /** Null when the name is taken. */
  add(name: string, tail: Buffer): PreparedStatement | null {
    this.#named ??= new SessionStatements(this.host.statements)
    return this.#named.add(name, tail)
  }

  /** A statement under this name, which is free, that no server connection has yet. */
  learn(name: string, tail: Buffer, facts: StatementFacts): void {
    const statement = this.add(name, tail)
    if (statement !== null) this.noteFacts(statement, facts)
  }

  /** These are the facts of its text. */
  noteFacts(statement: PreparedStatement, facts: StatementFacts): void {
    if (statement.effects === undefined) statement.effects = facts.keep()
    this.#noteControl(statement.effects)
  }

  #noteControl(effects: Effects | null | undefined): void {
    this.hasTransactionControl ||= effects != null && (effects.flags & TRANSACTION_CONTROL) !== 0
  }

  /** The name means this text already, which is what a transaction that is run again finds. */
  again(name: string, tail: Buffer): PreparedStatement | null {
    const statement = this.get(name)
    return statement !== undefined && !statement.isLong && statement.tail.equals(tail) ? statement : null
  }

  delete(name: string): void {
    this.#named?.delete(name)
  }

  /** The name is free, and `tail` about to be filled. */
  addLong(name: string, tail: Buffer): PreparedStatement {
    this.#named ??= new SessionStatements(this.host.statements)
    return this.#named.addLong(name, tail)
  }

  /** The statement of the Parse at hand is too long to be kept, and has its own name on the server. */
  noteForeignName(): void {
    this.#hasForeignName = true
    this.session.settings.pin(PIN.longStatement)
  }

  /** DEALLOCATE ALL or DISCARD ALL has happened. The unnamed one stays. */
  clear(): void {
    this.#named?.clear()
    this.#hasForeignName = false
    this.#unpin()
  }

  /** The session is over. */
  end(): void {
    this.abandon()
    this.#named?.clear()
    this.unnamed.drop()
    this.#unpin()
  }

  /** The unnamed statement is this one now; it is about to be parsed on the server connection. */
  keepUnnamed(tail: Buffer, effects: Effects | null): void {
    const { isLong } = this.unnamed
    this.beginUnnamed()
    this.unnamed.keep(tail, effects)
    if (isLong) this.#unpin()
  }

  /** The same for one whose text is about to be put into `tail`; null: it cannot be kept. */
  keepLongUnnamed(tail: Buffer | null): void {
    this.beginUnnamed()
    this.unnamed.keepLong(tail)
    if (tail === null) this.session.settings.pin(PIN.longStatement)
    else this.#unpin()
  }

  /** A message that makes the server connection's unnamed statement the session's is about to be sent. */
  beginUnnamed(): void {
    const { server, serial } = this.session
    if (server === null) return
    this.unnamed.begin(server.unnamedOwner)
    server.unnamedOwner = serial
  }

  /** A Close of the unnamed statement is about to be sent. */
  closeUnnamed(): void {
    const { server } = this.session
    if (server === null) return
    this.unnamed.begin(server.unnamedOwner)
    server.unnamedOwner = 0
    this.unnamed.drop()
    this.#unpin()
  }

  /** A simple query drops the unnamed statement. */
  forgetUnnamed(): void {
    const { server, serial } = this.session
    const { isLong } = this.unnamed
    this.unnamed.forget(server?.queue.unfinished !== true)
    if (isLong) this.#unpin()
    if (server !== null) dropUnnamed(server, serial)
  }

  #unpin(): void {
    const isKeptByUnnamed = this.unnamed.isLong && this.unnamed.text === null
    if (!isKeptByUnnamed && !this.#hasForeignName) this.session.settings.unpin(PIN.longStatement)
  }

  /** "cached plan must not change result type": preparing it again must help, as it would have on a direct connection. */
  renewLastUsed(): void {
    if (this.lastUsed !== null) this.host.statements.forget(this.lastUsed)
  }

  /** An error was answered; what it skips follows. */
  beginSkipping(): void {
    this.#isFailing = true
  }

  /** A Parse or Close was answered; others are none of ours. */
  answered(entry: number): void {
    const kind = entry & 0x0f
    if (kind !== REPLY.parse && kind !== REPLY.close) return
    const change = this.#journal?.confirm()
    if (change === undefined) return
    if (change.meant !== null) this.host.statements.drop(change.meant)
    if (change.unnamed) this.unnamed.answered()
  }

  /** It has failed, or an error has skipped it: as if it had never been sent. */
  skipped(entry: number): void {
    const hasFailed = this.#isFailing
    this.#isFailing = false
    const kind = entry & 0x0f
    if (kind !== REPLY.parse && kind !== REPLY.close) return
    const { server } = this.session
    if (server === null || this.#journal?.takeBack(this.#named, server) !== true) return
    // A Parse drops the one before it, whatever is wrong with its own text.
    const owner = hasFailed ? this.unnamed.failed() : this.unnamed.skipped()
    if (owner !== null) server.unnamedOwner = owner
    this.#unpin()
  }

  /** The server connection is gone with whatever was on its way. */
  abandon(): void {
    this.unnamed.abandon()
    this.#journal?.takeAllBack(this.#named)
  }

  /**
   * Whether it is not known yet what `name` means, or whether the server connection has that: a message of an earlier part of
   * the pipeline, up to a Sync that is not answered, changes it, and may turn out to have been skipped.
   */
  isUncertain(server: ServerConnection, name: string): boolean {
    const journal = this.#journal
    if (journal === null || journal.isEmpty || server.queue.outstanding === 0) return false
    const earlier = journal.all.length - server.queue.preparing
    if (earlier === 0) return false
    if (name === '') return journal.isUnnamedAmong(earlier)
    return journal.isPending(earlier, name, this.get(name) ?? null)
  }

  /** A statement of the client's own, which it does not want any more. */
  close(name: string, statement: PreparedStatement): void {
    this.delete(name)
    const { server } = this.session
    if (!statement.isLong || server?.statements.use(statement) !== true) {
      // It stays on the server connection, for whoever has the same text.
      this.note(REPLY.close | SYNTHESIZE, { ...NOTHING, name, meant: statement })
      return
    }
    server.statements.delete(statement)
    this.note(REPLY.close, { ...NOTHING, name, meant: statement, statement, wasThere: true })
    writeCloseStatement(writer.reset(), statement.serverName)
    this.host.toServer.insert(writer.bytes)
  }

  /** What is sent now, is answered with this entry and changes this. */
  note(entry: number, change: StatementChange): void {
    this.session.server?.queue.push(entry)
    this.#journal ??= new StatementJournal()
    this.#journal.note(change)
  }
}
