import { PIN } from '../memory/client-slots.ts'
import { ExpressionScan } from './expression-scan.ts'
import { Lexer, TOKEN } from './lexer.ts'
import { meaningOf, W } from './statement-words.ts'

const SEMICOLON = 0x3b
const DOT = 0x2e

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
  /** SET or RESET of the parameters in `settings`. */
  sets: 1 << 7,
  /** RESET ALL. */
  resetsAll: 1 << 8,
  /** RESET of the parameters in `settings`, if it is one statement. */
  resets: 1 << 10,
  /** EXECUTE of the statement whose name is at `nameStart`. */
  executes: 1 << 11,
  /** currval or lastval: the answer depends on what this session did before. */
  readsSequence: 1 << 9,
  /** PREPARE TRANSACTION. */
  preparesTransaction: 1 << 12,
} as const

/**
 * What a text of one or more statements does to its session, as far as its words tell, in one pass and without
 * allocation: read the fields after `read`. What cannot be decided pins; a pin too many costs a server connection, a
 * pin too few costs correctness.
 *
 * Not seen: what triggers, views, operators and casts call, and user functions that hide a built-in one by name.
 */
export class StatementFacts {
  readonly #lexer: Lexer = new Lexer()
  readonly #scan: ExpressionScan = new ExpressionScan(this.#lexer)
  #bytes: Uint8Array = new Uint8Array(0)
  /** PIN bits. */
  pins = 0
  /** FACT bits. */
  flags = 0
  /** Where the name in EXECUTE or DEALLOCATE is; it may be quoted. */
  nameStart = 0
  nameStop = 0
  /** Lower-case names of parameters that SET and RESET name, session-wide ones only. */
  readonly settings: string[] = []

  /** `bytes[start, end)` is the text of a Query or Parse message, without its NUL. */
  read(bytes: Uint8Array, start: number, end: number): void {
    const lexer = this.#lexer
    lexer.open(bytes, start, end)
    this.#bytes = bytes
    this.pins = 0
    this.flags = 0
    // Even to what it is already, V8 sets a length through its runtime.
    if (this.settings.length !== 0) this.settings.length = 0
    this.#scan.open(bytes, end)
    let statements = 0
    let kind = lexer.next()
    while (kind !== TOKEN.end) {
      if (kind === TOKEN.punctuation && lexer.char === SEMICOLON) {
        kind = lexer.next()
        continue
      }
      if (++statements === 2) this.flags |= FACT.several
      this.#statement()
      kind = lexer.kind
    }
    this.pins |= this.#scan.pins
    if (this.#scan.readsSequence) this.flags |= FACT.readsSequence
    if (lexer.ambiguous) this.pins |= PIN.undecidedStatement
  }

  #meaning(): number {
    return meaningOf(this.#lexer, this.#bytes)
  }

  /** From the first token of a statement to its semicolon or the end. */
  #statement(): void {
    const first = this.#meaning()
    switch (first) {
      case W.begin:
      case W.start:
        this.flags |= FACT.begins
        break
      case W.commit:
        this.#end(FACT.commits)
        break
      case W.rollback:
        this.#end(FACT.rollsBack)
        break
      case W.set:
        this.#set()
        this.#skipSetting()
        return
      case W.reset:
        this.#reset()
        break
      case W.prepare:
        if (this.#preparesTransaction()) this.flags |= FACT.preparesTransaction
        else this.pins |= PIN.sqlPrepare
        break
      case W.deallocate:
      case W.discard:
        this.#discard(first)
        break
      case W.execute:
        this.#name(FACT.executes)
        this.#lexer.next()
        this.#scan.statement(first)
        return
      case W.listen:
        this.pins |= PIN.listen
        break
      case W.load:
        this.pins |= PIN.load
        break
      case W.doBlock:
      case W.call:
        this.pins |= PIN.unknownFunction
        break
      default:
        this.#scan.statement(first)
        return
    }
    this.#skipStatement()
  }

  get #ended(): boolean {
    const { kind, char } = this.#lexer
    return kind === TOKEN.end || (kind === TOKEN.punctuation && char === SEMICOLON)
  }

  #skipStatement(): void {
    while (!this.#ended) this.#lexer.next()
  }

  /** SET search_path TO pg_temp: a table that is created by its bare name is temporary then. */
  #skipSetting(): void {
    const lexer = this.#lexer
    for (; !this.#ended; lexer.next()) {
      const { kind, start, stop } = lexer
      const quoted = kind === TOKEN.string || kind === TOKEN.quotedName
      if (this.#meaning() === W.pgTemp || (quoted && this.#text(start, stop).includes('pg_temp'))) {
        this.pins |= PIN.temporaryObject
      }
    }
  }

  #text(start: number, stop: number): string {
    return Buffer.from(this.#bytes.subarray(start, stop)).toString('utf8')
  }

  /** PREPARE TRANSACTION 'id' ends a transaction and leaves nothing in the session; the rest prepare statements. */
  #preparesTransaction(): boolean {
    this.#lexer.next()
    return this.#meaning() === W.transaction && this.#lexer.next() === TOKEN.string
  }

  /** COMMIT, ROLLBACK [WORK | TRANSACTION] [AND [NO] CHAIN]; not ROLLBACK … TO name, COMMIT PREPARED, ROLLBACK PREPARED. */
  #end(flag: number): void {
    let endsThisOne = true
    while (this.#lexer.next() === TOKEN.word) {
      const meaning = this.#meaning()
      if (meaning === W.to || meaning === W.prepared) endsThisOne = false
    }
    if (endsThisOne) this.flags |= flag
  }

  /** DEALLOCATE [PREPARE] name | ALL, DISCARD ALL | PLANS | SEQUENCES | TEMP. */
  #discard(first: number): void {
    this.#lexer.next()
    const meaning = this.#meaning()
    if (first === W.discard) {
      if (meaning === W.all) this.flags |= FACT.discardsAll
      return
    }
    if (meaning === W.prepare) this.#lexer.next()
    if (this.#meaning() === W.all) this.flags |= FACT.deallocatesAll
    else this.#noteName(FACT.deallocates)
  }

  #name(flag: number): void {
    this.#lexer.next()
    this.#noteName(flag)
  }

  #noteName(flag: number): void {
    this.flags |= flag
    this.nameStart = this.#lexer.start
    this.nameStop = this.#lexer.stop
  }

  #set(): void {
    const lexer = this.#lexer
    lexer.next()
    let meaning = this.#meaning()
    if (lexer.follows(DOT)) {
      // A prefix may have the name of a keyword: SET local.tenant TO 7
      this.#namedSetting()
      return
    }
    if (meaning === W.local || meaning === W.transaction || meaning === W.constraints) return
    if (meaning === W.session) {
      lexer.next()
      meaning = this.#meaning()
      if (meaning === W.authorization) {
        this.#setting('session_authorization')
        return
      }
      if (meaning === W.characteristics) {
        this.#setting('default_transaction_isolation')
        return
      }
    }
    if (lexer.follows(DOT)) this.#namedSetting()
    else if (meaning === W.time) this.#setting('timezone')
    else if (meaning === W.names) this.#setting('client_encoding')
    else if (meaning === W.schema) this.#setting('search_path')
    else this.#namedSetting()
  }

  #reset(): void {
    this.#lexer.next()
    const meaning = this.#meaning()
    this.flags |= FACT.resets
    if (this.#lexer.follows(DOT)) this.#namedSetting()
    else if (meaning === W.all) this.flags |= FACT.resetsAll
    else if (meaning === W.time) this.#setting('timezone')
    else if (meaning === W.session) this.#setting('session_authorization')
    else this.#namedSetting()
  }

  #setting(name: string): void {
    this.flags |= FACT.sets
    this.settings.push(name)
  }

  /** `name` or `prefix.name`, quoted or not. */
  #namedSetting(): void {
    const lexer = this.#lexer
    let name = this.#namePart()
    while (lexer.follows(DOT)) {
      lexer.next()
      lexer.next()
      name += `.${this.#namePart()}`
    }
    this.#setting(name)
  }

  /** The names of settings are the same in any case, quoted too. */
  #namePart(): string {
    const { kind, start, stop } = this.#lexer
    const text = this.#text(start, stop).toLowerCase()
    return kind === TOKEN.quotedName ? text.slice(1, -1).replaceAll('""', '"') : text
  }
}
