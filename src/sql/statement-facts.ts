import { PIN } from '../memory/client-slots.ts'
import { BUILTIN_FUNCTIONS } from './builtin-functions.ts'
import { Lexer, TOKEN } from './lexer.ts'
import { WordTable } from './word-table.ts'

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
  /** currval or lastval: the answer depends on what this session did before. */
  readsSequence: 1 << 9,
} as const

// Meanings of words, besides the pins of functions, which are stored as FUNCTION | pin bits.
const FUNCTION = 1 << 28
/** May stand before a parenthesis without calling anything. */
const KEYWORD = 1
/** The name after it is a table's, alias' or the like: a parenthesis then holds columns. */
const NAMES = 2
/** The same, in CREATE, ALTER, DROP and COMMENT only. */
const NAMES_IN_DDL = 3
/** A keyword before a parenthesis in DDL only. */
const KEYWORD_IN_DDL = 4
const FIRST = 100
const W = {
  begin: FIRST,
  start: FIRST + 1,
  commit: FIRST + 2,
  rollback: FIRST + 3,
  set: FIRST + 4,
  reset: FIRST + 5,
  prepare: FIRST + 6,
  deallocate: FIRST + 7,
  discard: FIRST + 8,
  listen: FIRST + 9,
  load: FIRST + 10,
  declare: FIRST + 11,
  doBlock: FIRST + 12,
  call: FIRST + 13,
  ddl: FIRST + 14,
  temporary: FIRST + 15,
  hold: FIRST + 16,
  to: FIRST + 17,
  all: FIRST + 18,
  session: FIRST + 19,
  local: FIRST + 20,
  transaction: FIRST + 21,
  constraints: FIRST + 22,
  time: FIRST + 23,
  names: FIRST + 24,
  schema: FIRST + 25,
  pgTemp: FIRST + 26,
  pgCatalog: FIRST + 27,
  truth: FIRST + 28,
  plans: FIRST + 29,
  authorization: FIRST + 30,
  characteristics: FIRST + 31,
} as const

const keywords = (text: string, meaning: number): [string, number][] => text.split(' ').map((word) => [word, meaning])

const WORDS = new WordTable([
  ...BUILTIN_FUNCTIONS.map((name): [string, number] => [name, FUNCTION]),
  ...keywords(
    'select from where and or not in is like ilike similar between values any some exists case when then else ' +
      'over filter within by having limit offset fetch returning union except intersect distinct row array ' +
      'interval cast coalesce greatest least nullif extract overlay position substring trim treat normalize ' +
      'grouping xmlelement xmlforest xmlattributes xmlconcat xmlparse xmlpi xmlroot xmlserialize xmlexists ' +
      'json json_object json_array json_value json_query json_exists json_scalar json_serialize json_table ' +
      'numeric decimal dec varchar char character nchar varying bit timestamp timestamptz timetz float real ' +
      'insert update delete merge on using join lateral rollup cube sets conflict columns explain analyze verbose',
    KEYWORD,
  ),
  ...keywords('into as only recursive with references copy', NAMES),
  ...keywords(
    'table index view function procedure routine aggregate trigger type domain operator statistics',
    NAMES_IN_DDL,
  ),
  ...keywords('key unique check list hash range generated include storage exclude options attribute', KEYWORD_IN_DDL),
  ...keywords(
    'pg_advisory_lock pg_advisory_lock_shared pg_try_advisory_lock pg_try_advisory_lock_shared',
    FUNCTION | PIN.advisoryLock,
  ),
  ...keywords('nextval setval currval lastval', FUNCTION | PIN.sequence),
  ...keywords('set_config setseed', FUNCTION | PIN.setting),
  ...keywords('create alter drop comment grant revoke', W.ddl),
  ...keywords('commit end', W.commit),
  ...keywords('rollback abort', W.rollback),
  ...keywords('temp temporary', W.temporary),
  ['begin', W.begin],
  ['start', W.start],
  ['set', W.set],
  ['reset', W.reset],
  ['prepare', W.prepare],
  ['deallocate', W.deallocate],
  ['discard', W.discard],
  ['listen', W.listen],
  ['load', W.load],
  ['declare', W.declare],
  ['do', W.doBlock],
  ['call', W.call],
  ['hold', W.hold],
  ['to', W.to],
  ['all', W.all],
  ['session', W.session],
  ['local', W.local],
  ['transaction', W.transaction],
  ['constraints', W.constraints],
  ['time', W.time],
  ['names', W.names],
  ['schema', W.schema],
  ['pg_temp', W.pgTemp],
  ['pg_catalog', W.pgCatalog],
  ['true', W.truth],
  ['plans', W.plans],
  ['authorization', W.authorization],
  ['characteristics', W.characteristics],
])

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
    if (meaning >= FIRST && meaning <= W.characteristics && place < AFTER_DOT) {
      // BEGIN ( and the like are syntax errors or, as SET (a, b) and ALL (…), call nothing.
      return
    }
    if (!known) {
      this.pins |= PIN.unknownFunction
      return
    }
    const pins = meaning & ~FUNCTION
    if (pins === 0) return
    if ((pins & PIN.sequence) !== 0 && this.#readsSequence()) this.flags |= FACT.readsSequence
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
    this.flags |= this.#meaning() === W.all ? FACT.deallocatesAll : FACT.deallocates
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
    if (meaning === W.all) this.flags |= FACT.resetsAll | FACT.sets
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
