import { Lexer, TOKEN } from './lexer.ts'
import { WordTable } from './word-table.ts'

const SEMICOLON = 0x3b
const OPENING = 0x28
const UNDERSCORE = 0x5f

/** Begins a statement that may be a read. */
const BEGINS: number = 1
/** Anywhere in it: it may write, lock, or tell of the server that it runs on. */
const SPOILS: number = 2
/** Begins a statement that reads, or sets something for, a transaction that can do nothing but read. */
const BEGINS_READ_ONLY: number = 3

const words = (text: string, meaning: number): [string, number][] => text.split(' ').map((word) => [word, meaning])

const WORDS = new WordTable([
  ...words('select with values table', BEGINS),
  ...words('declare explain set savepoint', BEGINS_READ_ONLY),
  ...words(
    // What writes or locks rows; what makes a table; what is read of a sequence, whose pages are ahead on a replica.
    'insert update delete merge into share last_value log_cnt is_called nextval currval lastval setval ' +
      // What tells of this server, its transactions or its settings.
      'current_setting set_config version txid_current txid_current_if_assigned txid_current_snapshot txid_snapshot_xmin ' +
      'txid_status inet_server_addr inet_server_port inet_client_addr inet_client_port ' +
      // What writes although it is called in a query.
      'loread lowrite gin_clean_pending_list brin_summarize_new_values brin_summarize_range brin_desummarize_range ' +
      'query_to_xml query_to_xmlschema query_to_xml_and_xmlschema cursor_to_xml cursor_to_xmlschema',
    SPOILS,
  ),
])

/**
 * Whether a text does nothing but read what every copy of the data has, as far as its words tell: queries whose every word
 * is above suspicion. What looks like a write, takes locks or asks for the server's own state (all that begins with `pg_`
 * or `lo_`) is none. What the functions do that it calls, `StatementFacts` has to say.
 */
export class ReadScan {
  readonly #lexer: Lexer = new Lexer()
  #bytes: Uint8Array = new Uint8Array(0)

  /** `bytes[start, end)` is the whole text, without its NUL. `isReadOnly`: it is run in a READ ONLY transaction. */
  isRead(bytes: Uint8Array, start: number, end: number, isReadOnly = false): boolean {
    const lexer = this.#lexer
    this.#bytes = bytes
    lexer.open(bytes, start, end)
    lexer.next()
    let statements = 0
    while (lexer.kind !== TOKEN.end) {
      if (lexer.kind === TOKEN.punctuation && lexer.char === SEMICOLON) {
        lexer.next()
        continue
      }
      statements++
      if (!this.#statement(isReadOnly)) return false
    }
    return statements > 0 && !lexer.ambiguous
  }

  #statement(isReadOnly: boolean): boolean {
    const lexer = this.#lexer
    while (lexer.kind === TOKEN.punctuation && lexer.char === OPENING) lexer.next()
    const first: number = lexer.kind
    if (first !== TOKEN.word) return false
    const meaning = this.#meaning()
    if (meaning !== BEGINS && !(isReadOnly && meaning === BEGINS_READ_ONLY)) return false
    for (; lexer.kind !== TOKEN.end; lexer.next()) {
      const { kind } = lexer
      if (kind === TOKEN.word || kind === TOKEN.quotedName) {
        if (this.#spoils(kind === TOKEN.quotedName)) return false
      } else if (kind === TOKEN.punctuation && lexer.char === SEMICOLON) return true
    }
    return true
  }

  #meaning(): number {
    const { start, stop, hash } = this.#lexer
    return WORDS.find(this.#bytes, start, stop, hash)
  }

  #spoils(isQuoted: boolean): boolean {
    const { start, stop } = this.#lexer
    const bytes = this.#bytes
    const at = isQuoted ? start + 1 : start
    // U&"…" may spell anything.
    if (isQuoted && bytes[start] !== 0x22) return true
    if (stop - at > 3 && isPrefix(bytes, at)) return true
    return !isQuoted && this.#meaning() === SPOILS
  }
}

/** `pg_` or `lo_`, in any case. */
function isPrefix(bytes: Uint8Array, at: number): boolean {
  const first = (bytes[at] as number) | 0x20
  const second = (bytes[at + 1] as number) | 0x20
  const isPg = first === 0x70 && second === 0x67
  const isLo = first === 0x6c && second === 0x6f
  return (isPg || isLo) && bytes[at + 2] === UNDERSCORE
}
