import { PIN } from '../memory/client-slots.ts'
import { type Lexer, TOKEN } from './lexer.ts'
import { meaningOf, W } from './statement-words.ts'

const SEMICOLON = 0x3b
const DOT = 0x2e
const EQUALS = 0x3d
const MINUS = 0x2d
const PLUS = 0x2b
const QUOTE = 0x27
/** Longer values are left to the server to tell. */
const LONGEST_VALUE = 256
/** More settings of one text are not told apart. */
const MOST_SETTINGS = 1000

/** What a text says of a setting: its value, null for the default, undefined when only the server knows. */
export type SettingValue = string | null | undefined

/** Of one transaction only, whatever the word SET says. */
const TRANSACTION_SETTINGS = new Set(['transaction_isolation', 'transaction_read_only', 'transaction_deferrable'])
/** SET writes their values differently from how it reads them, unless they are a single plain name. */
const LISTS = new Set(['search_path', 'temp_tablespaces', 'session_preload_libraries', 'local_preload_libraries'])
/** State that nothing can bring back elsewhere: the first is a generator's, the second is fixed once it has been used. */
const UNMOVABLE = new Map<string, number>([
  ['seed', PIN.randomSeed],
  ['temp_buffers', PIN.setting],
])

/** Reads SET and RESET: which settings of the session they touch, and what their values are if the text says so plainly. */
export class SettingScan {
  readonly #lexer: Lexer
  #bytes: Uint8Array = new Uint8Array(0)
  /** Lower-case names of settings, and what becomes of each; since `begin`. */
  readonly names: string[] = []
  readonly values: SettingValue[] = []
  /** PIN bits. */
  pins = 0
  /** RESET ALL was among them. */
  resetsAll = false

  /** `lexer` is moved on over the statements that are read. */
  constructor(lexer: Lexer) {
    this.#lexer = lexer
  }

  /** A new text. */
  begin(): void {
    // Even to what it is already, V8 sets a length through its runtime.
    if (this.names.length !== 0) {
      this.names.length = 0
      this.values.length = 0
    }
    this.pins = 0
    this.resetsAll = false
  }

  /** The piece of it that the lexer goes on with. */
  use(bytes: Uint8Array): void {
    this.#bytes = bytes
  }

  /** One that a text touches in another way than by SET and RESET. */
  touch(name: string): void {
    this.#note(name, undefined)
  }

  /** From the word SET to the semicolon or the end. */
  set(): void {
    const lexer = this.#lexer
    lexer.next()
    let meaning = this.#meaning()
    // A prefix may have the name of a keyword: SET local.tenant TO 7
    if (lexer.follows(DOT)) {
      this.#assign(this.#name())
      return
    }
    const isLocal = meaning === W.local
    if (isLocal || meaning === W.session) {
      lexer.next()
      meaning = this.#meaning()
    }
    if (isLocal) this.#setLocal(meaning)
    else if (lexer.follows(DOT)) this.#assign(this.#name())
    else if (meaning === W.transaction || meaning === W.constraints) this.#skip()
    else this.#setSession(meaning)
  }

  #setSession(meaning: number): void {
    switch (meaning) {
      case W.authorization:
        this.#user()
        return
      case W.characteristics:
        this.#characteristics()
        return
      case W.time:
        this.#lexer.next()
        this.#noteDefault('timezone')
        break
      case W.names:
        this.#noteDefault('client_encoding')
        break
      case W.schema:
        this.#note('search_path', undefined)
        break
      case W.xml:
        this.#note('xmloption', undefined)
        break
      default:
        this.#assign(this.#name())
        return
    }
    this.#skip()
  }

  /** Gone at the end of the transaction, but for the seed, which has been sown. */
  #setLocal(meaning: number): void {
    const name = meaning === W.time ? '' : this.#name()
    if (name === 'seed') this.pins |= PIN.randomSeed
    this.#skip()
  }

  /** From the word RESET to the semicolon or the end. */
  reset(): void {
    this.#lexer.next()
    const meaning = this.#meaning()
    if (this.#lexer.follows(DOT)) this.#note(this.#name(), null)
    else if (meaning === W.all) this.resetsAll = true
    else if (meaning === W.time) this.#note('timezone', null)
    else if (meaning === W.session) this.#noteUser(null)
    else this.#note(this.#name(), null)
    this.#skip()
  }

  #meaning(): number {
    return meaningOf(this.#lexer, this.#bytes)
  }

  #ended(): boolean {
    const { kind, char } = this.#lexer
    return kind === TOKEN.end || (kind === TOKEN.punctuation && char === SEMICOLON)
  }

  #skip(): void {
    for (; !this.#ended(); this.#lexer.next()) this.#mindTemporary()
  }

  /** SET search_path TO pg_temp: a table that is created by its bare name is temporary then. */
  #mindTemporary(): void {
    const { kind, start, stop } = this.#lexer
    const quoted = kind === TOKEN.string || kind === TOKEN.quotedName
    if (this.#meaning() === W.pgTemp || (quoted && this.#text(start, stop).includes('pg_temp'))) {
      this.pins |= PIN.temporaryObject
    }
  }

  #user(): void {
    this.#lexer.next()
    this.#noteUser(this.#value())
  }

  /** Whoever becomes another user has no role. */
  #noteUser(value: SettingValue): void {
    this.#note('session_authorization', value)
    this.#note('role', 'none')
  }

  #characteristics(): void {
    this.#note('default_transaction_isolation', undefined)
    this.#note('default_transaction_read_only', undefined)
    this.#note('default_transaction_deferrable', undefined)
    this.#skip()
  }

  /** After the name: TO or = and the value. SET ROLE and SET SEED need neither. */
  #assign(name: string): void {
    const lexer = this.#lexer
    lexer.next()
    const isAssigned = this.#meaning() === W.to || (lexer.kind === TOKEN.punctuation && lexer.char === EQUALS)
    if (isAssigned) lexer.next()
    const value = this.#value()
    const isPlain = value === null || value === undefined || !LISTS.has(name) || /^[a-z_][a-z0-9_]*$/.test(value)
    this.#note(name, isPlain && (isAssigned || name === 'role') ? value : undefined)
  }

  /** TIME ZONE LOCAL, NAMES DEFAULT or just NAMES; other values are reported. */
  #noteDefault(name: string): void {
    this.#lexer.next()
    const meaning = this.#meaning()
    const isDefault = this.#ended() || meaning === W.default || (meaning === W.local && name === 'timezone')
    this.#note(name, isDefault ? null : undefined)
  }

  #note(name: string, value: SettingValue): void {
    if (TRANSACTION_SETTINGS.has(name)) return
    if (this.names.length >= MOST_SETTINGS) {
      this.pins |= PIN.setting
      return
    }
    this.pins |= UNMOVABLE.get(name) ?? 0
    this.names.push(name)
    this.values.push(value)
  }

  /** The one word, number or string up to the end of the statement. */
  #value(): SettingValue {
    const lexer = this.#lexer
    let sign = ''
    if (lexer.kind === TOKEN.punctuation && (lexer.char === MINUS || lexer.char === PLUS)) {
      sign = lexer.char === MINUS ? '-' : ''
      lexer.next()
    }
    const value = this.#ended() ? undefined : this.#literal(sign)
    let tokens = 0
    for (; !this.#ended(); lexer.next()) {
      tokens++
      this.#mindTemporary()
    }
    return tokens === 1 ? value : undefined
  }

  #literal(sign: string): SettingValue {
    const { kind, start, stop } = this.#lexer
    if (stop - start > LONGEST_VALUE) return undefined
    const text = this.#text(start, stop)
    if (!/^[ -~]*$/.test(text)) return undefined
    if (kind === TOKEN.number) return sign + text
    if (sign !== '') return undefined
    if (kind === TOKEN.word) return this.#meaning() === W.default ? null : text.toLowerCase()
    if (kind === TOKEN.quotedName) return unquote(text, '"')
    const isPlain = kind === TOKEN.string && this.#bytes[start] === QUOTE && !text.includes('\\')
    return isPlain ? unquote(text, "'") : undefined
  }

  /** `name` or `prefix.name`, quoted or not. */
  #name(): string {
    const lexer = this.#lexer
    let name = this.#namePart()
    while (lexer.follows(DOT)) {
      lexer.next()
      lexer.next()
      name += `.${this.#namePart()}`
    }
    return name
  }

  /** The names of settings are the same in any case, quoted too. */
  #namePart(): string {
    const { kind, start, stop } = this.#lexer
    const text = asciiLowerCase(this.#text(start, stop))
    return kind === TOKEN.quotedName ? unquote(text, '"') : text
  }

  #text(start: number, stop: number): string {
    return Buffer.from(this.#bytes.subarray(start, stop)).toString('utf8')
  }
}

function unquote(text: string, quote: string): string {
  return text.slice(1, -1).replaceAll(quote + quote, quote)
}

function asciiLowerCase(text: string): string {
  return text.replace(/[A-Z]+/g, (capitals) => capitals.toLowerCase())
}
