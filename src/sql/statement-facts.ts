import { PIN } from '../memory/client-slots.ts'
import { Lexer, TOKEN } from './lexer.ts'
import {
  FIRST_WORD,
  FUNCTION,
  KEYWORD,
  KEYWORD_IN_DDL,
  LAST_WORD,
  NAMES,
  NAMES_IN_DDL,
  W,
  WORDS,
} from './statement-words.ts'

/** Bits of `StatementFacts.flags`. */
export const FACT = {
  /** BEGIN or START TRANSACTION. */
  begins: 1 << 0,
  /** COMMIT or END. */
  commits: 1 << 1,
  /** ROLLBACK or ABORT, not to a savepoint. */
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
} as const

/** Where the name before a parenthesis stands. */
const PLAIN = 0
const AFTER_NAMES = 1
const AFTER_DOT = 2
const AFTER_CATALOG_DOT = 3
const AFTER_VALUE = 4

/**
 * What a text of one or more statements does to its session, as far as its words tell, in one pass and without
 * allocation: read the fields after `read`. What cannot be decided pins; a pin too many costs a server connection, a
 * pin too few costs correctness.
 *
 * Not seen: what triggers, views, operators and casts call, and user functions that hide a built-in one by name.
 */
export class StatementFacts {
  readonly #lexer = new Lexer()
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
    this.settings.length = 0
    let statements = 0
    let kind = lexer.next()
    while (kind !== TOKEN.end) {
      if (kind === TOKEN.punctuation && lexer.char === 0x3b) {
        kind = lexer.next()
        continue
      }
      if (++statements === 2) this.flags |= FACT.several
      this.#statement()
      kind = lexer.kind
    }
    if (lexer.ambiguous) this.pins |= PIN.undecidedStatement
  }

  #meaning(): number {
    const { start, stop, hash, kind } = this.#lexer
    return kind === TOKEN.word ? WORDS.find(this.#bytes, start, stop, hash) : 0
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
        this.flags |= FACT.commits
        break
      case W.rollback:
        this.#rollback()
        break
      case W.set:
        this.#set()
        break
      case W.reset:
        this.#reset()
        break
      case W.prepare:
        // PREPARE TRANSACTION ends a transaction and leaves nothing in the session.
        this.#lexer.next()
        if (this.#meaning() !== W.transaction) this.pins |= PIN.sqlPrepare
        break
      case W.deallocate:
      case W.discard:
        this.#discard(first)
        break
      case W.execute:
        this.#name(FACT.executes)
        this.#lexer.next()
        this.#expression(first)
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
        this.#expression(first)
        return
    }
    this.#skipStatement()
  }

  #skipStatement(): void {
    const lexer = this.#lexer
    while (lexer.kind !== TOKEN.end && !(lexer.kind === TOKEN.punctuation && lexer.char === 0x3b)) lexer.next()
  }

  /** Looks for calls and telling words; `first` is the statement's first word, which is the current token. */
  #expression(first: number): void {
    const lexer = this.#lexer
    const isDdl = first === W.ddl
    let place = PLAIN
    let bodyBegins = false
    for (;;) {
      const { kind } = lexer
      if (kind === TOKEN.end) return
      if (kind === TOKEN.punctuation) {
        const { char } = lexer
        if (char === 0x3b && !bodyBegins) return
        if (char === 0x2e)
          place = place === AFTER_CATALOG_DOT ? AFTER_CATALOG_DOT : place === AFTER_NAMES ? AFTER_NAMES : AFTER_DOT
        else place = char === 0x29 || char === 0x3a ? AFTER_VALUE : PLAIN
      } else if (kind === TOKEN.word || kind === TOKEN.quotedName) {
        const meaning = this.#meaning()
        // CREATE FUNCTION … BEGIN ATOMIC …; …; END: its semicolons do not end the statement.
        if (meaning === W.begin && isDdl) bodyBegins = true
        place = this.#word(meaning, place, isDdl, first)
      } else place = AFTER_VALUE
      lexer.next()
    }
  }

  #word(meaning: number, place: number, isDdl: boolean, first: number): number {
    if (this.#lexer.parenthesisFollows && place !== AFTER_NAMES && place !== AFTER_VALUE) {
      const keyword =
        meaning === KEYWORD || meaning === NAMES || (isDdl && meaning >= NAMES && meaning <= KEYWORD_IN_DDL)
      if (!keyword || place >= AFTER_DOT) this.#call(meaning, place)
      return PLAIN
    }
    if (meaning === W.temporary || meaning === W.pgTemp) {
      // A column may be called so; a false pin is the cheaper mistake.
      this.pins |= PIN.temporaryObject
    } else if (meaning === W.hold && first === W.declare) this.pins |= PIN.holdCursor
    else if (meaning === W.pgCatalog) return AFTER_CATALOG_DOT
    // After a dot or a table's keyword, the rest of a qualified name is in the same place.
    if (place === AFTER_NAMES && this.#dotFollows()) return AFTER_NAMES
    if (meaning === NAMES || (isDdl && meaning === NAMES_IN_DDL)) return AFTER_NAMES
    if (isDdl && (meaning === KEYWORD || meaning === W.to)) return AFTER_NAMES
    // IF NOT EXISTS name, IF EXISTS name
    if (place === AFTER_NAMES && isDdl) return AFTER_NAMES
    return PLAIN
  }

  #dotFollows(): boolean {
    return this.#bytes[this.#lexer.stop] === 0x2e
  }

  #call(meaning: number, place: number): void {
    const known = (meaning & FUNCTION) !== 0 && place !== AFTER_DOT
    if (meaning >= FIRST_WORD && meaning <= LAST_WORD && place < AFTER_DOT) {
      // BEGIN ( and the like are syntax errors or, as SET (a, b) and ALL (…), call nothing.
      return
    }
    if (!known) {
      this.pins |= PIN.unknownFunction
      return
    }
    const pins = meaning & ~FUNCTION
    if (pins === 0) return
    if ((pins & PIN.sequence) !== 0 && this.#readsSequence()) {
      this.flags |= FACT.readsSequence
      return
    }
    if ((pins & PIN.setting) !== 0 && this.#isLocalSetting()) return
    this.pins |= pins
  }

  #readsSequence(): boolean {
    const letter = (this.#bytes[this.#lexer.start] as number) | 0x20
    return letter === 0x63 || letter === 0x6c
  }

  /** set_config(name, value, true) with the literal word: gone at the end of the transaction. Leaves the lexer behind it. */
  #isLocalSetting(): boolean {
    const lexer = this.#lexer
    let depth = 0
    let last = 0
    for (;;) {
      const kind = lexer.next()
      if (kind === TOKEN.end) return false
      if (kind === TOKEN.punctuation) {
        if (lexer.char === 0x28) depth++
        if (lexer.char === 0x29 && --depth === 0) return last === W.truth
        last = lexer.char === 0x2c && depth === 1 ? W.set : 0
      } else {
        // Only a lone `true` after a comma counts; a call within the arguments is looked at with suspicion.
        if (kind === TOKEN.word && lexer.parenthesisFollows) this.#call(this.#meaning(), PLAIN)
        last = last === W.set && this.#meaning() === W.truth ? W.truth : 0
      }
    }
  }

  #rollback(): void {
    const lexer = this.#lexer
    this.flags |= FACT.rollsBack
    while (lexer.next() === TOKEN.word) {
      if (this.#meaning() === W.to) this.flags &= ~FACT.rollsBack
    }
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
    if (meaning === W.time) this.#setting('timezone')
    else if (meaning === W.names) this.#setting('client_encoding')
    else if (meaning === W.schema) this.#setting('search_path')
    else this.#namedSetting()
  }

  #reset(): void {
    this.#lexer.next()
    const meaning = this.#meaning()
    this.flags |= FACT.resets
    if (meaning === W.all) this.flags |= FACT.resetsAll
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
    const { start } = lexer
    let { stop } = lexer
    while (this.#bytes[stop] === 0x2e) {
      lexer.next()
      lexer.next()
      stop = lexer.stop
    }
    this.#setting(Buffer.from(this.#bytes.subarray(start, stop)).toString('utf8').replaceAll('"', '').toLowerCase())
  }
}
