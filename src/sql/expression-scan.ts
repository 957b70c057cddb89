import { PIN } from '../memory/client-slots.ts'
import { AtomicBody } from './atomic-body.ts'
import { Lexer, TOKEN } from './lexer.ts'
import { BEFORE_BY_AND_JOIN, BEFORE_CONFLICT, isBehind } from './previous-word.ts'
import { readSetConfig } from './set-config-call.ts'
import {
  FREES,
  FUNCTION,
  isWriting,
  KEYWORD,
  KEYWORD_IN_DDL,
  KEYWORD_NAMES_IN_DDL,
  KEYWORD_OR_CALL,
  meaningOf,
  NAMES,
  NAMES_DEFINED_IN_DDL,
  NAMES_IN_DDL,
  W,
  WRITES,
} from './statement-words.ts'

const SEMICOLON = 0x3b
const OPENING = 0x28
const CLOSING = 0x29
const ASTERISK = 0x2a
const COLON = 0x3a
const DOT = 0x2e

/** Where a name stands. Not behind one of the first two, a parenthesis calls it. */
const AFTER_NAMES = 0
const AFTER_VALUE = 1
const PLAIN = 2
const AFTER_DOT = 3
const AFTER_CATALOG_DOT = 4

/** What of a function of PostgreSQL's own stays behind in the session. */
const LEAVES = PIN.setting | PIN.advisoryLock | PIN.randomSeed
const NONE: readonly string[] = []
/** More calls of set_config in one text are not looked at. */
const MOST_SETTINGS = 16

/**
 * Looks through the expressions of a statement for calls of functions, and for the words that tell of temporary
 * objects and of cursors that outlive their transaction.
 *
 * Grammar is guessed from neighbours: a name before a parenthesis is a call unless it is a keyword, or follows a value
 * (`) AS t (a, b)`) or a word like INTO. Where that may be wrong, it errs towards a call.
 */
export class ExpressionScan {
  readonly #lexer: Lexer
  readonly #ahead: Lexer = new Lexer()
  #bytes: Uint8Array = new Uint8Array(0)
  #end = 0
  /** PIN bits of all statements since `open`. */
  pins = 0
  /** currval or lastval is called. */
  readsSequence = false
  /** Session-level locks are given up. */
  frees = false
  /** Functions may be created, changed or dropped, or what calls them unseen. */
  defines = false
  /** It may write, lock rows, or be about this server. */
  writes = false
  /** Something was taken for a keyword that may as well be a call. */
  isDoubtful = false
  #touched: string[] | null = null
  #settings = 0
  #first = 0
  #isDdl = false
  #setFollows = false
  #hasJoin = false
  readonly #body = new AtomicBody()
  #place = PLAIN

  /** `lexer` is moved on over the statements that are scanned. */
  constructor(lexer: Lexer) {
    this.#lexer = lexer
  }

  /** A new text. */
  begin(): void {
    this.pins = 0
    this.readsSequence = false
    this.frees = false
    this.isDoubtful = false
    this.defines = false
    this.writes = false
    this.#settings = 0
  }

  /** Lower-case names of settings that set_config sets for longer than the transaction, since the last time. */
  takeTouched(): readonly string[] {
    const touched = this.#touched
    this.#touched = null
    return touched ?? NONE
  }

  /** How many calls of set_config there were. */
  get settingCalls(): number {
    return this.#settings
  }

  /** The piece of it that the lexer goes on with ends at `end`. */
  use(bytes: Uint8Array, end: number): void {
    this.#bytes = bytes
    this.#end = end
  }

  /** It ends within a function's body. */
  get isInBody(): boolean {
    return this.#body.isOpen
  }

  /** From the current token to the semicolon, or to where the lexer pauses; `first` means the statement's first word. */
  statement(first: number): void {
    const lexer = this.#lexer
    this.#first = first
    this.#isDdl = first === W.ddl
    this.#setFollows = false
    this.#hasJoin = false
    this.#body.begin()
    let place = PLAIN
    if (lexer.kind === TOKEN.word) {
      // No statement begins with a call: COPY (…), EXPLAIN (…), VACUUM (…).
      place = first === W.copy || first === NAMES ? AFTER_NAMES : PLAIN
      this.#setFollows = first === W.update
      lexer.next()
    }
    this.#place = place
    this.goOn()
  }

  /** The same in the next piece. */
  goOn(): void {
    const lexer = this.#lexer
    const isDdl = this.#first === W.ddl
    let place = this.#place
    const { limit } = lexer
    for (; lexer.kind !== TOKEN.end && lexer.start < limit; lexer.next()) {
      const { kind } = lexer
      const meaning = this.#meaning()
      if (kind === TOKEN.punctuation) {
        if (lexer.char === SEMICOLON && !this.#body.isOpen) return
        place = this.#punctuation(place)
      } else if (kind === TOKEN.word || kind === TOKEN.quotedName) place = this.#word(meaning, place)
      else place = AFTER_VALUE
      if (isDdl) this.#body.follow(lexer.kind, lexer.char, meaning)
    }
    this.#place = place
  }

  #meaning(): number {
    return meaningOf(this.#lexer, this.#bytes)
  }

  #punctuation(place: number): number {
    switch (this.#lexer.char) {
      case DOT:
        return place === AFTER_CATALOG_DOT || place === AFTER_NAMES ? place : AFTER_DOT
      case CLOSING:
        return AFTER_VALUE
      case COLON:
        // The type in x::numeric(10, 2) is no call; the bound in x[1:f()] is one.
        return this.#bytes[this.#lexer.start - 1] === COLON ? AFTER_VALUE : PLAIN
      default:
        return PLAIN
    }
  }

  /** Returns the place of what follows. */
  #word(meaning: number, place: number): number {
    const lexer = this.#lexer
    if (isWriting(meaning)) this.writes = true
    if (meaning === W.join) this.#hasJoin = true
    // CREATE TABLE … AS SELECT: from here on the words are those of a query.
    if (meaning === W.select) this.#isDdl = false
    if (meaning === W.operator && place < AFTER_DOT) return this.#operator()
    if (place >= PLAIN && lexer.follows(OPENING)) {
      if (place >= AFTER_DOT || !this.#isKeyword(meaning)) this.#call(meaning, place)
      if (meaning === W.set) this.#setFollows = false
      return PLAIN
    }
    // CREATE STATISTICS … ON f(a), where others have a table's name and columns.
    if (this.#isDdl && place === AFTER_NAMES && lexer.follows(OPENING)) this.isDoubtful = true
    // A column may be called so; a false pin is the cheaper mistake.
    if (meaning === W.temporary || meaning === W.pgTemp) this.pins |= PIN.temporaryObject
    else if (meaning === W.pgSettings && (this.writes || this.#first === W.update)) this.pins |= PIN.setting
    else if (meaning === W.hold && this.#first === W.declare) this.pins |= PIN.holdCursor
    else if (meaning === W.without && this.#first === W.declare) lexer.next()
    else if (meaning === W.update || meaning === W.set) this.#setFollows = meaning === W.update
    else if (meaning === W.pgCatalog) return AFTER_CATALOG_DOT
    // The rest of a qualified name is in the same place, and so is x in AS NOT MATERIALIZED (x).
    if (place === AFTER_NAMES && (meaning === W.not || lexer.follows(DOT))) return AFTER_NAMES
    const names =
      meaning === NAMES || meaning === W.into || meaning === W.recursive || (this.#isDdl && this.#namesInDdl(meaning))
    // A schema may have the name of some of them.
    return names && !lexer.follows(DOT) ? AFTER_NAMES : PLAIN
  }

  #namesInDdl(meaning: number): boolean {
    // With a schema, its functions.
    if (meaning === NAMES_DEFINED_IN_DDL || meaning === W.defined || meaning === W.schema) this.defines = true
    return meaning === NAMES_IN_DDL || meaning === NAMES_DEFINED_IN_DDL || meaning === KEYWORD_NAMES_IN_DDL
  }

  /** After x OPERATOR(s.+) comes another value, not a name for x. */
  #operator(): number {
    const lexer = this.#lexer
    if (!lexer.follows(OPENING)) return PLAIN
    let isOperator = false
    while (lexer.next() !== TOKEN.end && !(lexer.kind === TOKEN.punctuation && lexer.char === CLOSING)) {
      isOperator = lexer.kind === TOKEN.punctuation && lexer.char !== ASTERISK && lexer.char !== OPENING
      if (lexer.kind === TOKEN.punctuation && lexer.char === SEMICOLON) this.pins |= PIN.undecidedStatement
    }
    // A function may have that name: operator(1), operator(t.*).
    if (!isOperator) this.isDoubtful = true
    return PLAIN
  }

  /** Whether the word calls nothing although a parenthesis follows. */
  #isKeyword(meaning: number): boolean {
    switch (meaning) {
      case KEYWORD:
      case KEYWORD_NAMES_IN_DDL:
      case NAMES:
      case W.select:
      case W.not:
      case W.all:
      case W.to:
      case W.time:
      case W.default:
      case W.into:
      case W.locking:
      case W.values:
        return true
      case W.by:
      case W.join:
        return this.#isProbably(BEFORE_BY_AND_JOIN)
      case W.conflict:
        // The condition of a join may begin with a function of that name.
        return this.#isProbably(this.#first === W.insert && !this.#hasJoin ? BEFORE_CONFLICT : null)
      case KEYWORD_OR_CALL:
      case W.recursive:
        return this.#isProbably(null)
      case NAMES_IN_DDL:
      case NAMES_DEFINED_IN_DDL:
      case KEYWORD_IN_DDL:
      case W.update:
      case W.reset:
        return this.#isDdl && this.#isProbably(null)
      case W.insert:
        return (this.#isDdl || this.#first === W.merge) && this.#isProbably(null)
      case W.set:
        return this.#isDdl ? this.#isProbably(null) : this.#setFollows
      default:
        return false
    }
  }

  /** True, and certain only behind one of these words, or behind what ends a value. */
  #isProbably(before: readonly Buffer[] | null): true {
    this.isDoubtful ||= before === null || !isBehind(before, this.#bytes, this.#lexer.start)
    return true
  }

  #call(meaning: number, place: number): void {
    // A default, a constraint or an index, that calls it unseen.
    if (this.#isDdl && ((meaning & FUNCTION) === 0 || place === AFTER_DOT || (meaning & LEAVES) !== 0))
      this.defines = true
    if ((meaning & FUNCTION) === 0 || place === AFTER_DOT) {
      this.pins |= PIN.unknownFunction
      this.writes = true
      return
    }
    const pins = meaning & ~(FUNCTION | FREES | WRITES)
    if ((meaning & WRITES) !== 0) this.writes = true
    if ((meaning & FREES) !== 0) this.frees = true
    if ((pins & PIN.sequence) !== 0 && this.#isRead()) this.readsSequence = true
    else if ((pins & PIN.setting) !== 0) this.#setting()
    else this.pins |= pins
  }

  /** What set_config sets, if its name is a literal. */
  #setting(): void {
    if (++this.#settings > MOST_SETTINGS) this.pins |= PIN.setting
    if ((this.pins & PIN.setting) !== 0) return
    const call = readSetConfig(this.#ahead, this.#bytes, this.#lexer.stop, this.#end)
    if (call.isLocal) return
    if (call.name === null) this.pins |= PIN.setting
    else if (this.#touched === null) this.#touched = [call.name]
    else this.#touched.push(call.name)
  }

  /** currval or lastval, not nextval or setval. */
  #isRead(): boolean {
    const letter = (this.#bytes[this.#lexer.start] as number) | 0x20
    return letter === 0x63 || letter === 0x6c
  }
}
