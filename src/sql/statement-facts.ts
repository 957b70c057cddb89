import { PIN } from '../memory/client-slots.ts'
import { CommandScan, NO_EXPRESSIONS } from './command-scan.ts'
import { ExpressionScan } from './expression-scan.ts'
import type { CalledFunction } from './function-calls.ts'
import { Lexer, TOKEN } from './lexer.ts'
import type { SecondOpinion } from './second-opinion.ts'
import { SettingScan, type SettingValue } from './setting-scan.ts'
import { type Effects, FACT } from './statement-effects.ts'
import { INTENT, type Intent } from './statement-intent.ts'
import { StatementShapes } from './statement-shapes.ts'
import { intentOfWord, meaningOf } from './statement-words.ts'

const SEMICOLON = 0x3b
/** Of a text in pieces: no token but a string is looked at with less than this behind it, so longer ones are undecided. */
const LOOKAHEAD = 4096

/** FACT bits that say all there is to say: no name, setting or channel goes with them. */
const PLAIN =
  FACT.begins |
  FACT.commits |
  FACT.rollsBack |
  FACT.several |
  FACT.undoes |
  FACT.readsSequence |
  FACT.preparesTransaction

/** PIN bits that are guessed from words. */
const REVISABLE = PIN.unknownFunction | PIN.temporaryObject

/** Where a piece of a text ended. */
const BETWEEN = 0
const IN_EXPRESSIONS = 1
const IN_WORDS = 2

/**
 * What a text of one or more statements does to its session, as far as its words tell, in one pass and without
 * allocation: read the fields after `read`. What cannot be decided pins; a pin too many costs a server connection, a
 * pin too few costs correctness.
 *
 * A text that is never seen whole is read with `begin` and `goOn`.
 *
 * Not seen: what triggers, views, operators and casts call (`WatchedRelations`), and user functions that hide a built-in one by name.
 */
export class StatementFacts implements Effects {
  readonly #opinion: SecondOpinion | null
  readonly #lexer: Lexer = new Lexer()
  readonly #scan: ExpressionScan = new ExpressionScan(this.#lexer)
  readonly #settingScan: SettingScan = new SettingScan(this.#lexer)
  readonly #commandScan: CommandScan = new CommandScan(this.#lexer, this.#settingScan)
  readonly #shapes = new StatementShapes()
  #bytes: Uint8Array = new Uint8Array(0)
  #statements = 0
  #place = BETWEEN
  #isOver = false
  /** PIN bits. */
  pins = 0
  /** FACT bits. */
  flags = 0
  /** By its words; `write` where they leave it open. */
  intent: Intent = INTENT.none
  /** Channels that LISTEN names, as the server will know them. */
  readonly channels: readonly string[]
  readonly settings: readonly string[]
  readonly values: readonly SettingValue[]
  calls: readonly CalledFunction[] | null = null

  /** `opinion` is asked about texts that are there as a whole, where the words leave something open. */
  constructor(opinion: SecondOpinion | null) {
    this.#opinion = opinion
    this.settings = this.#settingScan.names
    this.values = this.#settingScan.values
    this.channels = this.#commandScan.channels
  }

  /** Where the name in PREPARE, EXECUTE or DEALLOCATE is; it may be quoted. */
  get nameStart(): number {
    return this.#commandScan.nameStart
  }

  get nameStop(): number {
    return this.#commandScan.nameStop
  }

  /** All of these names, in a text that was there as a whole: the FACT bit of each, where it starts, and where it stops. */
  get names(): readonly number[] {
    return this.#commandScan.names
  }

  /** Something was taken for a keyword that may be a call. */
  get isDoubtful(): boolean {
    return this.#scan.isDoubtful
  }

  /** A copy that stays; null when executing it does nothing to its session. */
  keep(): Effects | null {
    const { pins, flags, settings, values, channels, calls } = this
    if (pins === 0 && (flags & ~FACT.several) === 0) return null
    return { pins, flags, settings: [...settings], values: [...values], channels: [...channels], calls }
  }

  /** `bytes[start, end)` is the text of a Query or Parse message, without its NUL. */
  read(bytes: Uint8Array, start: number, end: number): void {
    this.begin()
    if (this.#shapes.find(bytes, start, end)) {
      this.flags = this.#shapes.flags
      this.intent = this.#shapes.intent as Intent
      return
    }
    this.goOn(bytes, start, end, true)
    if (this.#isPlain()) this.#shapes.remember(bytes, start, end, this.flags, this.intent)
    else this.#doubt(bytes, start, end)
  }

  /** Flags and intent are all there is to say of it, and of whatever differs from it in numbers only. */
  #isPlain(): boolean {
    const { pins, flags, settings, channels, isDoubtful } = this
    return pins === 0 && (flags & ~PLAIN) === 0 && settings.length === 0 && channels.length === 0 && !isDoubtful
  }

  #doubt(bytes: Uint8Array, start: number, end: number): void {
    if ((this.isDoubtful || (this.pins & REVISABLE) !== 0) && this.#opinion !== null) this.#consult(bytes, start, end)
  }

  /** What was guessed of calls and temporary objects is replaced by what the grammar says. */
  #consult(bytes: Uint8Array, start: number, end: number): void {
    // The parser would have to guess as well.
    if ((this.pins & PIN.undecidedStatement) !== 0) return
    const tree = this.#opinion?.of(bytes, start, end) ?? null
    if (tree === null) return
    const certain = (this.pins & ~REVISABLE) | (this.#settingScan.pins & REVISABLE)
    // Which settings, the words have told, unless it was by a quoted name.
    const seen = tree.settingCalls === this.#scan.settingCalls ? ~PIN.setting : ~0
    this.pins = certain | (tree.pins & seen)
    this.flags |= tree.flags
    this.intent = tree.calls.length === 0 ? tree.intent : INTENT.write
    if (tree.calls.length === 0) return
    this.calls = (this.pins & PIN.unknownFunction) === 0 ? tree.calls : null
    this.pins |= PIN.unknownFunction
  }

  /** A text in pieces follows. */
  begin(): void {
    this.pins = 0
    this.flags = 0
    this.intent = INTENT.none
    this.calls = null
    this.#statements = 0
    this.#place = BETWEEN
    this.#isOver = false
    this.#lexer.begin()
    this.#scan.begin()
    this.#settingScan.begin()
    this.#commandScan.begin()
  }

  /**
   * The next piece is `bytes[start, end)`. Returns where the bytes begin, at most `LOOKAHEAD`, that have to be at the start
   * of the next piece again. The facts are those of what has been read, and complete after the last piece.
   */
  goOn(bytes: Uint8Array, start: number, end: number, isLast: boolean): number {
    if (this.#isOver || (start === end && !isLast)) return end
    const lexer = this.#lexer
    this.#bytes = bytes
    this.#scan.use(bytes, end)
    this.#settingScan.use(bytes)
    this.#commandScan.use(bytes)
    lexer.goOn(bytes, start, end, isLast ? end : end - LOOKAHEAD)
    lexer.next()
    this.#finishStatement()
    while (!lexer.paused) {
      if (lexer.kind === TOKEN.punctuation && lexer.char === SEMICOLON) {
        lexer.next()
        continue
      }
      if (++this.#statements === 2) this.flags |= FACT.several
      this.#statement()
    }
    this.#isOver = lexer.isOver
    this.#sumUp(isLast || this.#isOver)
    return isLast ? end : lexer.pause()
  }

  #sumUp(isComplete: boolean): void {
    const scan = this.#scan
    const settingScan = this.#settingScan
    const commandScan = this.#commandScan
    this.flags |= commandScan.flags
    if (this.settings.length > 0) this.flags |= FACT.sets
    if (settingScan.resetsAll) this.flags |= FACT.resetsAll
    this.pins |= scan.pins | settingScan.pins | commandScan.pins
    if (scan.frees) this.flags |= FACT.frees
    if (scan.writes || scan.isDoubtful || commandScan.writes) this.intent = INTENT.write
    if (scan.defines) this.flags |= FACT.defines
    if (scan.readsSequence) this.flags |= FACT.readsSequence
    const isInBody = isComplete && this.#place === IN_EXPRESSIONS && scan.isInBody
    if (this.#lexer.ambiguous || isInBody) this.pins |= PIN.undecidedStatement
  }

  /** From the first token of a statement to its semicolon or the end. */
  #statement(): void {
    const lexer = this.#lexer
    const first = meaningOf(lexer, this.#bytes)
    const intent = intentOfWord(first)
    if (intent > this.intent) this.intent = intent
    const rest = this.#commandScan.read(first)
    // The words that matter have been read, unless the piece has cut them off.
    if (lexer.isCut) this.pins |= PIN.undecidedStatement
    if (rest === NO_EXPRESSIONS) {
      this.#place = IN_WORDS
      this.#finishStatement()
    } else {
      this.#place = IN_EXPRESSIONS
      this.#scan.statement(rest)
      this.#scanned()
    }
  }

  #scanned(): void {
    for (const name of this.#scan.takeTouched()) this.#settingScan.touch(name)
    if (!this.#lexer.paused) this.#place = BETWEEN
  }

  /** Up to the semicolon, or to where the piece ends. */
  #finishStatement(): void {
    const lexer = this.#lexer
    if (this.#place === IN_EXPRESSIONS) {
      this.#scan.goOn()
      this.#scanned()
    } else if (this.#place === IN_WORDS) {
      while (!lexer.paused && !(lexer.kind === TOKEN.punctuation && lexer.char === SEMICOLON)) lexer.next()
      if (!lexer.paused) this.#place = BETWEEN
    }
  }
}
