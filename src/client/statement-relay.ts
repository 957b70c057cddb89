import type { NativeBuffer } from '../io/native.ts'
import { CLIENT_STEP, PIN } from '../memory/client-slots.ts'
import { FRONTEND, HEADER_BYTES, textEnd } from '../protocol/message-type.ts'
import { MessageWriter } from '../protocol/writer.ts'
import { REPLY } from '../server/reply-queue.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import type { PreparedStatement } from '../session/prepared-statements.ts'
import { type Effects, FACT } from '../sql/statement-effects.ts'
import type { StatementFacts } from '../sql/statement-facts.ts'
import type { ClientHost } from './client-host.ts'
import { LongParse } from './long-parse.ts'
import type { RequestSession } from './request-session.ts'
import { noteEffects } from './session-effects.ts'
import { SqlStatements } from './sql-statements.ts'
import { StatementBook } from './statement-book.ts'
import { UNNAMED } from './statement-journal.ts'
import { EMPTY_TAIL, parseDuplicate, parseStatement } from './statement-parse.ts'
import { closeStray, ensureStatement, prepareUnnamed } from './statement-supply.ts'
import { CLEARS, isUncertain, NAMES } from './uncertain-statements.ts'

const writer = new MessageWriter()
/** What touches settings. */
const TOUCHES = FACT.sets | FACT.resetsAll | FACT.discardsAll

/**
 * Prepared statements over shared server connections: clients' names become ours, by text; a server connection that
 * lacks a statement gets its Parse ahead of the first message that needs it. The unnamed statement lives where it was
 * parsed and is parsed again where it is missed.
 */
export class StatementRelay {
  readonly host: ClientHost
  readonly session: RequestSession
  readonly book: StatementBook
  /** Null: none has been named in SQL. */
  #inSql: SqlStatements | null = null
  /** The Parse whose rest is still to come, if it is too long to be seen whole. */
  #long: LongParse | null = null
  /** Where the names in the Bind at hand end, and the statement that it names, if it has one of ours. */
  #portalEnd = 0
  #nameEnd = 0
  #bound: PreparedStatement | undefined = undefined
  /** A statement that touches settings has been bound, once. */
  #touching = false
  /** The statement bound last drops all prepared statements. */
  #clearing = false
  /** DEALLOCATE ALL or DISCARD ALL was sent: which statements there are depends on whether it succeeds. */
  #clears = false

  constructor(host: ClientHost, session: RequestSession) {
    this.host = host
    this.session = session
    this.book = new StatementBook(host, session)
  }

  /** A Parse is under way that is too long to be seen whole. */
  get isLong(): boolean {
    return this.#long !== null
  }

  /** `source[start, end)` comes next of it, if it is a Parse that is under way. */
  passLong(source: NativeBuffer, start: number, end: number): void {
    this.#long?.pass(source, start, end)
  }

  /** All of it has passed, and this is what it does when it is executed. False: it was no Parse. */
  finishLong(facts: StatementFacts): boolean {
    const long = this.#long
    this.#long = null
    long?.finish(facts)
    return long !== null
  }

  /** The rest of it goes nowhere. */
  abandonLong(): void {
    this.#long?.abandon()
    this.#long = null
  }

  /** What executing the statement does that EXECUTE names; null: nothing, or it is none of the protocol's. */
  effectsOfExecute(source: NativeBuffer, facts: StatementFacts): Effects | null {
    return this.needInSql().effectsOf(source, facts)
  }

  /** An EXECUTE or DEALLOCATE is sent as it has to be; false: there is nothing in it to change, and it is still to be sent. */
  rename(source: NativeBuffer, at: number, stop: number, end: number, facts: StatementFacts): boolean {
    if ((facts.flags & NAMES) === 0) return false
    const isAlone = (facts.flags & FACT.several) === 0
    if (!isAlone && (facts.flags & FACT.prepares) !== 0 && stop <= end) {
      this.needInSql().refuseAmong(source, facts.names)
    }
    return isAlone && this.needInSql().rename(source, at, stop, end, facts)
  }

  get inSql(): SqlStatements | null {
    return this.#inSql
  }

  needInSql(): SqlStatements {
    this.#inSql ??= new SqlStatements(this.host, this.session, this.book)
    return this.#inSql
  }

  /** CLIENT_STEP bits of where it is. */
  get stepFlags(): number {
    return (
      (this.#touching ? CLIENT_STEP.touching : 0) |
      (this.#clearing ? CLIENT_STEP.clearing : 0) |
      (this.#clears ? CLIENT_STEP.clears : 0) |
      this.book.stepFlags
    )
  }

  /** As it was in another process. */
  restore(flags: number): void {
    this.#touching = (flags & CLIENT_STEP.touching) !== 0
    this.#clearing = (flags & CLIENT_STEP.clearing) !== 0
    this.#clears = (flags & CLIENT_STEP.clears) !== 0
  }

  /**
   * What executing the statement does that the Bind at `at` names; null: nothing, undefined: the message is malformed and
   * the client closed. To be called before `bind`.
   */
  effectsOfBind(source: NativeBuffer, at: number, stop: number, end: number): Effects | null | undefined {
    const { bytes } = source
    const there = Math.min(stop, end)
    const portalEnd = textEnd(bytes, at + HEADER_BYTES, there)
    const nameEnd = portalEnd < 0 ? -1 : textEnd(bytes, portalEnd + 1, there)
    if (nameEnd < 0) {
      this.session.violate('malformed Bind message')
      return undefined
    }
    this.#portalEnd = portalEnd
    this.#nameEnd = nameEnd
    const isUnnamed = nameEnd === portalEnd + 1
    this.#bound = isUnnamed ? undefined : this.book.get(bytes.toString('utf8', portalEnd + 1, nameEnd))
    return isUnnamed ? this.book.unnamed.effects : (this.#bound?.effects ?? null)
  }

  /** What that Bind names must wait for answers. */
  isBindUncertain(source: NativeBuffer): boolean {
    return isUncertain(this, source, this.#portalEnd + 1, this.#nameEnd)
  }

  /** The text that the Bind is about, which `effectsOfBind` has looked at; null: it is too long to be kept. */
  get boundText(): Buffer | null {
    if (this.#bound === undefined) return this.book.unnamed.tail
    return this.#bound.isLong ? null : this.#bound.tail
  }

  /** A statement with these effects, null: none, is being bound, to be executed later. */
  noteBind(effects: Effects | null): void {
    const session = this.session
    this.#clearing = effects !== null && (effects.flags & CLEARS) !== 0
    if (effects === null) {
      session.settings.noteHarmless()
      return
    }
    session.seat.foresee(effects)
    noteEffects(session, effects)
    if ((effects.flags & TOUCHES) === 0) return
    session.settings.values.bound()
    this.#touching = true
  }

  /** A portal is being executed, the one bound last in all likelihood. */
  noteExecute(): void {
    if (this.#touching) this.session.settings.values.executed()
    if (this.#clearing) this.#clears = true
  }

  /** Nothing that names a statement can be sent before what was sent is answered. */
  get mustWait(): boolean {
    return this.#clears || this.#inSql?.deallocating != null
  }

  /** A query with these facts is about to be sent; `isPartial`: more may be in it. */
  noteQuery(facts: StatementFacts, isPartial: boolean): void {
    if (isPartial || (facts.flags & CLEARS) !== 0) this.#clears = true
    this.book.forgetUnnamed()
  }

  /** Which names are taken is known when all up to the last Sync is answered: PREPARE has taken some. */
  get isOnTrial(): boolean {
    const { settings, server } = this.session
    return (settings.pins & PIN.sqlPrepare) !== 0 && server !== null && server.queue.outstanding > 0
  }

  /** It has succeeded, which no rollback undoes. */
  cleared(): void {
    this.#clears = false
    this.book.clear()
  }

  /** Everything sent has been answered. */
  settle(): void {
    this.#clears = false
    this.#inSql?.settle()
  }

  /** An error was answered. */
  failed(sqlstate: string): void {
    this.#clears = false
    this.book.beginSkipping()
    this.#inSql?.failed()
    if (sqlstate === '0A000') this.book.renewLastUsed()
  }

  /** Parse at `at`, whose name ends at `nameEnd`. `facts`: of its text, as far as it is there. */
  parse(source: NativeBuffer, at: number, nameEnd: number, stop: number, end: number, facts: StatementFacts): void {
    if (stop <= end) parseStatement(this, source, at, nameEnd, stop, source.bytes.subarray(nameEnd + 1, stop), facts)
    else {
      const name = source.bytes.toString('utf8', at + HEADER_BYTES, nameEnd)
      if (this.book.get(name) === undefined) {
        this.#long = new LongParse(this.host, this.session, this.book)
        this.#long.begin(source, at, nameEnd, stop, end)
      } else parseDuplicate(this, this.session.server as ServerConnection, name, EMPTY_TAIL)
    }
  }

  /** As `parse`, with another text, without parameters, in the place of the client's. */
  parseInstead(source: NativeBuffer, at: number, nameEnd: number, text: string, facts: StatementFacts): void {
    parseStatement(this, source, at, nameEnd, -1, Buffer.concat([Buffer.from(text), EMPTY_TAIL]), facts)
  }

  /** Whether the Parse at `at` makes the unnamed statement what it is already. */
  isAgain(bytes: Buffer, at: number, nameEnd: number, stop: number): boolean {
    return nameEnd === at + HEADER_BYTES && this.book.unnamed.is(bytes, nameEnd + 1, stop)
  }

  /** That Parse is sent. */
  parseAgain(source: NativeBuffer, at: number, stop: number): void {
    this.book.beginUnnamed()
    this.book.note(REPLY.parse, UNNAMED)
    this.host.toServer.forward(source, at, stop)
  }

  /** Bind at `at`, which `effectsOfBind` has looked at. */
  bind(source: NativeBuffer, at: number, stop: number, end: number): void {
    const { bytes } = source
    const { toServer } = this.host
    const server = this.session.server as ServerConnection
    const portalEnd = this.#portalEnd
    const nameEnd = this.#nameEnd
    const statement = this.#bound
    if (nameEnd === portalEnd + 1) prepareUnnamed(this.book, server)
    if (statement === undefined) {
      if (server.strays !== null) closeStray(this.book, server, bytes.toString('utf8', portalEnd + 1, nameEnd))
      toServer.forward(source, at, Math.min(stop, end))
    } else {
      ensureStatement(this.book, server, statement)
      const shift = statement.serverName.length - (nameEnd - portalEnd - 1)
      writer
        .reset()
        .byte(FRONTEND.bind)
        .int32(stop - at - 1 + shift)
      if (portalEnd > at + HEADER_BYTES) writer.raw(bytes.subarray(at + HEADER_BYTES, portalEnd))
      writer.byte(0).raw(statement.serverNameBytes)
      toServer.insert(writer.bytes)
      toServer.forward(source, nameEnd + 1, Math.min(stop, end))
    }
    server.queue.push(REPLY.bind)
  }
}
