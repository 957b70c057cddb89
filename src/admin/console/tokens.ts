import { RouterError } from '../../errors.ts'

/**
 * A piece of console text. `value` of a word is lower case, of a quoted identifier and of a string it is what stands
 * between the quotes, with doubled quotes undone.
 */
export interface Token {
  readonly kind: 'word' | 'quoted' | 'string' | 'number' | 'symbol'
  readonly value: string
}

const TOKEN =
  /(?<space>\s+|--[^\n]*)|(?<word>[\p{L}_][\p{L}\p{N}_$]*)|(?<number>\d+)|\$(?<tag>(?:[\p{L}_][\p{L}\p{N}_]*)?)\$(?<dollar>[\s\S]*?)\$\k<tag>\$|"(?<quoted>(?:[^"]|"")*)"|'(?<string>(?:[^']|'')*)'|(?<symbol>[^\s"'])/uy

/** Statements of a query string as token lists: split at `;` outside quotes, comments dropped, empty ones left out. */
export function splitStatements(query: string): readonly (readonly Token[])[] {
  const statements: Token[][] = []
  let current: Token[] = []
  for (const token of tokenize(query)) {
    if (token.kind === 'symbol' && token.value === ';') {
      if (current.length > 0) statements.push(current)
      current = []
    } else current.push(token)
  }
  if (current.length > 0) statements.push(current)
  return statements
}

function* tokenize(query: string): Generator<Token> {
  let at = 0
  while (at < query.length) {
    if (query.startsWith('/*', at)) {
      at = endOfBlockComment(query, at)
      continue
    }
    TOKEN.lastIndex = at
    const groups = TOKEN.exec(query)?.groups
    if (groups === undefined) throw unterminated(query[at] === '"' ? 'quoted identifier' : 'quoted string')
    at = TOKEN.lastIndex
    const token = tokenOf(groups)
    if (token !== null) yield token
  }
}

function tokenOf({ word, number, quoted, string, dollar, symbol }: Record<string, string | undefined>): Token | null {
  if (word !== undefined) return { kind: 'word', value: word.toLowerCase() }
  if (number !== undefined) return { kind: 'number', value: number }
  if (quoted !== undefined) return { kind: 'quoted', value: quoted.replaceAll('""', '"') }
  if (string !== undefined) return { kind: 'string', value: string.replaceAll("''", "'") }
  if (dollar !== undefined) return { kind: 'string', value: dollar }
  return symbol === undefined ? null : { kind: 'symbol', value: symbol }
}

/** Block comments nest, as in PostgreSQL. */
function endOfBlockComment(query: string, start: number): number {
  let depth = 0
  for (let at = start; at < query.length - 1; at++) {
    const pair = query.slice(at, at + 2)
    if (pair === '/*') depth++
    else if (pair === '*/') depth--
    else continue
    at++
    if (depth === 0) return at + 1
  }
  throw unterminated('/* comment')
}

function unterminated(what: string): RouterError {
  return new RouterError('42601', `The command has an unterminated ${what}.`, { origin: 'client' })
}
