import { PIN } from '../memory/client-slots.ts'
import { ExpressionScan } from './expression-scan.ts'
import { Lexer, TOKEN } from './lexer.ts'
import { serverIdentifier } from './server-identifier.ts'
import { SettingScan, type SettingValue } from './setting-scan.ts'
import { meaningOf, W } from './statement-words.ts'

const SEMICOLON = 0x3b
/** Of a text in pieces: no token but a string is looked at with less than this behind it, so longer ones are undecided. */
const LOOKAHEAD = 4096

/** Where in a text a piece of it ended. */
const BETWEEN = 0
const IN_EXPRESSIONS = 1
const IN_WORDS = 2

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
  /** The settings in `settings` are touched. */
  sets: 1 << 7,
  /** RESET ALL. */
  resetsAll: 1 << 8,
  /** ROLLBACK, also to a savepoint. */
  undoes: 1 << 10,
  /** EXECUTE of the statement whose name is at `nameStart`. */
  executes: 1 << 11,
  /** currval or lastval: the answer depends on what this session did before. */
  readsSequence: 1 << 9,
  /** PREPARE TRANSACTION. */
  preparesTransaction: 1 << 12,
  /** DROP, CLOSE, DISCARD …: what pinned the session may be gone. */
  frees: 1 << 13,
  /** DISCARD SEQUENCES. */
  discardsSequences: 1 << 14,
  /** LISTEN, to the channels in `channels` as far as their names are certain. */
  listens: 1 << 20,
  /** UNLISTEN of one channel or all. */
  unlistens: 1 << 21,
} as const

/** What a statement does to its session when it is executed. */
export interface Effects {
  /** PIN bits. */
  readonly pins: number
  /** FACT bits. */
  readonly flags: number
  /** Lower-case names of settings that are touched for longer than the transaction, and what becomes of each. */
  readonly settings: readonly string[]
  readonly values: readonly SettingValue[]
  /** Channels that LISTEN names, as the server will know them. */
  readonly channels: readonly string[]
}

/**
 * What a text of one or more statements does to its session, as far as its words tell, in one pass and without
 * allocation: read the fields after `read`. What cannot be decided pins; a pin too many costs a server connection, a
 * pin too few costs correctness.
 *
 * A text that is never seen whole is read with `begin` and `goOn`.
 *
 * Not seen: what triggers, views, operators and casts call, and user functions that hide a built-in one by name.
 */
export class StatementFacts implements Effects {
  readonly #lexer: Lexer = new Lexer()
  readonly #scan: ExpressionScan = new ExpressionScan(this.#lexer)
  readonly #settingScan: SettingScan = new SettingScan(this.#lexer)
  #bytes: Uint8Array = new Uint8Array(0)
  #statements = 0
  #place = BETWEEN
  #isOver = false
  /** PIN bits. */
  pins = 0
  /** FACT bits. */
  flags = 0
  /** Where the name in EXECUTE or DEALLOCATE is; it may be quoted. */
  nameStart = 0
  nameStop = 0
  /** Channels that LISTEN names, as the server will know them. */
  readonly channels: string[] = []
  readonly settings: readonly string[]
  readonly values: readonly SettingValue[]

  constructor() {
    this.settings = this.#settingScan.names
    this.values = this.#settingScan.values
  }

  /** A copy that stays; null when executing it does nothing to its session. */
  keep(): Effects | null {
    const { pins, flags, settings, values, channels } = this
    if (pins === 0 && (flags & ~FACT.several) === 0) return null
    return { pins, flags, settings: [...settings], values: [...values], channels: [...channels] }
  }

  /** `bytes[start, end)` is the text of a Query or Parse message, without its NUL. */
  read(bytes: Uint8Array, start: number, end: number): void {
    this.begin()
    this.goOn(bytes, start, end, true)
  }

  /** A text in pieces follows. */
  begin(): void {
    this.pins = 0
    this.flags = 0
    // Even to what it is already, V8 sets a length through its runtime.
    if (this.channels.length !== 0) this.channels.length = 0
    this.#statements = 0
    this.#place = BETWEEN
    this.#isOver = false
    this.#lexer.begin()
    this.#scan.begin()
    this.#settingScan.begin()
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
    if (this.settings.length > 0) this.flags |= FACT.sets
    if (settingScan.resetsAll) this.flags |= FACT.resetsAll
    this.pins |= scan.pins | settingScan.pins
    if (scan.frees) this.flags |= FACT.frees
    if (scan.readsSequence) this.flags |= FACT.readsSequence
    const isInBody = isComplete && this.#place === IN_EXPRESSIONS && scan.isInBody
    if (this.#lexer.ambiguous || isInBody) this.pins |= PIN.undecidedStatement
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
        this.#settingScan.set()
        break
      case W.reset:
        this.#settingScan.reset()
        break
      case W.prepare:
        if (this.#preparesTransaction()) this.flags |= FACT.preparesTransaction
        else this.pins |= PIN.sqlPrepare
        break
      case W.ends:
        this.flags |= FACT.frees
        break
      case W.drop:
        this.flags |= FACT.frees
        this.#expressions(W.ddl)
        return
      case W.deallocate:
      case W.discard:
        this.flags |= FACT.frees
        this.#discard(first)
        break
      case W.execute:
        this.#name(FACT.executes)
        this.#lexer.next()
        this.#expressions(first)
        return
      case W.listen:
        this.#listen()
        break
      case W.unlisten:
        this.flags |= FACT.unlistens | FACT.frees
        break
      case W.load:
        this.pins |= PIN.load
        break
      case W.doBlock:
      case W.call:
        this.pins |= PIN.unknownFunction
        break
      default:
        this.#expressions(first)
        return
    }
    // The words that matter have been read, unless the piece has cut them off.
    if (this.#lexer.isCut) this.pins |= PIN.undecidedStatement
    this.#place = IN_WORDS
    this.#finishStatement()
  }

  #listen(): void {
    const lexer = this.#lexer
    this.pins |= PIN.listen
    this.flags |= FACT.listens
    const kind = lexer.next()
    if (kind === TOKEN.word || kind === TOKEN.quotedName) {
      this.channels.push(serverIdentifier(Buffer.from(this.#bytes.subarray(lexer.start, lexer.stop)).toString('utf8')))
    }
  }

  #expressions(first: number): void {
    if (this.#lexer.isCut) this.pins |= PIN.undecidedStatement
    this.#place = IN_EXPRESSIONS
    this.#scan.statement(first)
    this.#scanned()
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

  /** PREPARE TRANSACTION 'id' ends a transaction and leaves nothing in the session; the rest prepare statements. */
  #preparesTransaction(): boolean {
    this.#lexer.next()
    return this.#meaning() === W.transaction && this.#lexer.next() === TOKEN.string
  }

  /** COMMIT, ROLLBACK [WORK | TRANSACTION] [AND [NO] CHAIN]; not ROLLBACK … TO name, COMMIT PREPARED, ROLLBACK PREPARED. */
  #end(flag: number): void {
    let what = flag === FACT.rollsBack ? flag | FACT.undoes : flag
    while (this.#lexer.next() === TOKEN.word) {
      const meaning = this.#meaning()
      if (meaning === W.prepared) what = 0
      if (meaning === W.to) {
        what &= FACT.undoes
        break
      }
    }
    this.flags |= what
  }

  /** DEALLOCATE [PREPARE] name | ALL, DISCARD ALL | PLANS | SEQUENCES | TEMP. */
  #discard(first: number): void {
    this.#lexer.next()
    const meaning = this.#meaning()
    if (first === W.discard) {
      if (meaning === W.all) this.flags |= FACT.discardsAll
      if (meaning === W.sequences) this.flags |= FACT.discardsSequences
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
}
