import { type Lexer, TOKEN } from './lexer.ts'
import { meaningOf, W } from './statement-words.ts'

const OPENING = 0x28
const CLOSING = 0x29
const COMMA = 0x2c
const COLON = 0x3a
const QUOTE = 0x27
/** Arguments longer than this are not looked through. */
const MOST_TOKENS = 256

/** What a call of set_config says of itself. */
export interface SetConfigCall {
  /** Lower-case name of the setting; null when it is computed. */
  readonly name: string | null
  /** Its third argument is the word `true`: gone at the end of the transaction. */
  readonly isLocal: boolean
}

/**
 * Reads the arguments of set_config(name, value, is_local), which begin with the parenthesis at or after `start`. The lexer
 * is opened anew for it.
 */
export function readSetConfig(lexer: Lexer, bytes: Uint8Array, start: number, end: number): SetConfigCall {
  lexer.open(bytes, start, end)
  let name: string | null = null
  let depth = 0
  let argument = 0
  let tokensOfArgument = 0
  let isTrue = false
  for (let tokens = 0; tokens < MOST_TOKENS; tokens++) {
    const kind = lexer.next()
    if (kind === TOKEN.end) break
    const { char } = lexer
    const isPunctuation = kind === TOKEN.punctuation
    if (isPunctuation && char === OPENING && ++depth === 1) continue
    if (isPunctuation && char === CLOSING && --depth === 0) return { name, isLocal: argument === 2 && isTrue }
    if (isPunctuation && char === COMMA && depth === 1) {
      argument++
      tokensOfArgument = 0
      continue
    }
    tokensOfArgument++
    const isFirst = tokensOfArgument === 1
    if (argument === 0) name = isFirst ? literal(lexer, bytes) : castName(lexer, tokensOfArgument, name)
    if (argument === 2) isTrue = isFirst && meaningOf(lexer, bytes) === W.truth
  }
  return { name: null, isLocal: false }
}

function literal(lexer: Lexer, bytes: Uint8Array): string | null {
  const { kind, start, stop } = lexer
  if (kind !== TOKEN.string || bytes[start] !== QUOTE) return null
  const text = Buffer.from(bytes.subarray(start + 1, stop - 1)).toString('utf8')
  return text.includes('\\')
    ? null
    : text.replaceAll("''", "'").replace(/[A-Z]+/g, (capitals) => capitals.toLowerCase())
}

/** 'app.tenant'::text is as plain. */
function castName(lexer: Lexer, token: number, name: string | null): string | null {
  const isColon = lexer.kind === TOKEN.punctuation && lexer.char === COLON
  return (token <= 3 && isColon) || (token === 4 && lexer.kind === TOKEN.word) ? name : null
}
