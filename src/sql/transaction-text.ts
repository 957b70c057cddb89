import { Lexer, TOKEN } from './lexer.ts'

/** Tag of a CommandComplete. */
export type TransactionTag = 'BEGIN' | 'START TRANSACTION' | 'SET' | 'COMMIT' | 'ROLLBACK'

/** What a text that does nothing but begin, describe or end a transaction says. */
export interface TransactionText {
  /** `begins`: BEGIN, and perhaps SET TRANSACTION behind it; `sets`: SET TRANSACTION; `ends`: one COMMIT or ROLLBACK. */
  readonly kind: 'begins' | 'sets' | 'ends'
  /** Of its statements, in their order. */
  readonly tags: readonly TransactionTag[]
  /** Null: it does not say. */
  readonly access: 'read only' | 'read write' | null
  /** Lower case; null: it does not say. */
  readonly isolation: string | null
}

/** No such text has more words. */
const MOST_TOKENS = 64
const COMMA = 0x2c
const SEMICOLON = 0x3b
const NOISE = new Set(['work', 'transaction'])
const LEVELS = ['serializable', 'repeatable read', 'read committed', 'read uncommitted']

interface Modes {
  access: 'read only' | 'read write' | null
  isolation: string | null
}

const lexer = new Lexer()

/**
 * Reads `bytes[start, end)`, the whole text. Null: it has anything else in it, or is not as PostgreSQL's grammar has it.
 * https://www.postgresql.org/docs/current/sql-begin.html
 */
export function readTransactionText(bytes: Uint8Array, start: number, end: number): TransactionText | null {
  const statements = wordsOf(bytes, start, end)
  const [first, ...rest] = statements ?? []
  if (first === undefined) return null
  const tag = endOf(first)
  if (tag !== null) return rest.length === 0 ? { kind: 'ends', tags: [tag], access: null, isolation: null } : null
  const modes: Modes = { access: null, isolation: null }
  const begin = beginOf(first, modes)
  const sets = begin === null ? [first, ...rest] : rest
  for (const words of sets) if (!readSet(words, modes)) return null
  const tags = sets.map((): TransactionTag => 'SET')
  return { kind: begin === null ? 'sets' : 'begins', tags: begin === null ? tags : [begin, ...tags], ...modes }
}

/** Statements as lower-case words and commas; null: something else is among them. */
function wordsOf(bytes: Uint8Array, start: number, end: number): string[][] | null {
  const statements: string[][] = []
  let words: string[] = []
  lexer.open(bytes, start, end)
  for (let count = 0; lexer.next() !== TOKEN.end; count++) {
    const isSemicolon = lexer.kind === TOKEN.punctuation && lexer.char === SEMICOLON
    if (count === MOST_TOKENS) return null
    if (isSemicolon) {
      if (words.length > 0) statements.push(words)
      words = []
    } else if (lexer.kind === TOKEN.word) {
      words.push(Buffer.from(bytes.subarray(lexer.start, lexer.stop)).toString('latin1').toLowerCase())
    } else if (lexer.kind === TOKEN.punctuation && lexer.char === COMMA) words.push(',')
    else return null
  }
  if (words.length > 0) statements.push(words)
  return lexer.ambiguous ? null : statements
}

function endOf([first, second, ...rest]: readonly string[]): TransactionTag | null {
  if ((second !== undefined && !NOISE.has(second)) || rest.length > 0) return null
  if (first === 'commit' || first === 'end') return 'COMMIT'
  return first === 'rollback' || first === 'abort' ? 'ROLLBACK' : null
}

function beginOf(words: readonly string[], modes: Modes): TransactionTag | null {
  const [first, second] = words
  if (first === 'start') return second === 'transaction' && readModes(words, 2, modes) ? 'START TRANSACTION' : null
  if (first !== 'begin') return null
  const at = second !== undefined && NOISE.has(second) ? 2 : 1
  return readModes(words, at, modes) ? 'BEGIN' : null
}

function readSet(words: readonly string[], modes: Modes): boolean {
  return words[0] === 'set' && words[1] === 'transaction' && words.length > 2 && readModes(words, 2, modes)
}

/** Of several that contradict each other the last one counts. */
function readModes(words: readonly string[], from: number, modes: Modes): boolean {
  for (let at = from; at < words.length; ) {
    if (words[at] === ',') {
      if (at === from || words[at - 1] === ',' || at === words.length - 1) return false
      at++
      continue
    }
    const length = readMode(words, at, modes)
    if (length === 0) return false
    at += length
  }
  return true
}

/** Returns of how many words it is; 0: it is none. */
function readMode(words: readonly string[], at: number, modes: Modes): number {
  const [first, second] = [words[at], words[at + 1]]
  if (first === 'deferrable') return 1
  if (first === 'not') return second === 'deferrable' ? 2 : 0
  if (first === 'read') {
    if (second !== 'only' && second !== 'write') return 0
    modes.access = second === 'only' ? 'read only' : 'read write'
    return 2
  }
  if (first !== 'isolation' || second !== 'level') return 0
  const level = LEVELS.find((each) => words.slice(at + 2, at + 2 + each.split(' ').length).join(' ') === each)
  if (level === undefined) return 0
  modes.isolation = level
  return 2 + level.split(' ').length
}
