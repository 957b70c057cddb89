import { LONGEST_PARSED, type Parsed } from './postgres-parser.ts'
import { StatementKey } from './statement-key.ts'
import { type TreeFacts, treeFacts } from './tree-facts.ts'

/** Of each second, so much may go into parsing, in milliseconds: whoever sends ever new texts must not stop the others. */
const SHARE_MS = 50
/** What may be saved up of it. */
const MOST_SAVED_MS = 250
/** Of each of the two halves of what is remembered: how many texts, and how many bytes of keys. */
const MOST_KEYS = 2000
const MOST_KEY_BYTES = 1024 * 1024

/** What parses: `PostgresParser`. */
export interface StatementParser {
  parse(text: string): Parsed
}

/**
 * What PostgreSQL's parser says of texts, remembered by what they have in common but for their constants. Parsing takes 20 to
 * 300 µs and up to some milliseconds, finding what is remembered about one; so ask only where the lexer is in doubt.
 */
export class SecondOpinion {
  readonly #parser: StatementParser
  readonly #clock: () => number
  readonly #key = new StatementKey()
  /** Those used since the last time that one half was full, and those before. */
  #recent = new Map<string, TreeFacts | null>()
  #older = new Map<string, TreeFacts | null>()
  #recentBytes = 0
  #savedMs = MOST_SAVED_MS
  #refilledAt: number
  /** Texts that were parsed, and that were not because parsing had taken its share. */
  parsed = 0
  declined = 0

  /** `clock`: monotonic milliseconds. */
  constructor(parser: StatementParser, clock: () => number) {
    this.#parser = parser
    this.#clock = clock
    this.#refilledAt = clock()
  }

  /** Of `bytes[start, end)`, which the lexer understands. Null: none, and the lexer's word counts. */
  of(bytes: Uint8Array, start: number, end: number): TreeFacts | null {
    if (end - start > LONGEST_PARSED) return null
    const key = this.#key.of(bytes, start, end)
    let known = this.#recent.get(key)
    if (known !== undefined) return known
    known = this.#older.get(key)
    if (known === undefined) {
      if (!this.#mayParse()) {
        this.declined++
        return null
      }
      const parsed = this.#parse(Buffer.from(bytes.subarray(start, end)).toString('utf8'))
      if (parsed.kind === 'undecided') return null
      known = parsed.kind === 'parsed' ? treeFacts(parsed.tree) : null
    }
    this.#remember(key, known)
    return known
  }

  #parse(text: string): Parsed {
    const began = this.#clock()
    const parsed = this.#parser.parse(text)
    this.#savedMs -= this.#clock() - began
    this.parsed++
    return parsed
  }

  #mayParse(): boolean {
    if (this.#savedMs > 0) return true
    const now = this.#clock()
    this.#savedMs = Math.min(MOST_SAVED_MS, this.#savedMs + ((now - this.#refilledAt) * SHARE_MS) / 1000)
    this.#refilledAt = now
    return this.#savedMs > 0
  }

  #remember(key: string, facts: TreeFacts | null): void {
    if (this.#recent.size >= MOST_KEYS || this.#recentBytes + key.length > MOST_KEY_BYTES) {
      this.#older = this.#recent
      this.#recent = new Map()
      this.#recentBytes = 0
    }
    this.#recent.set(key, facts)
    this.#recentBytes += key.length
  }
}
