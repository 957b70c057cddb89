import { type CalledFunction, FunctionCalls } from '../../sql/function-calls.ts'
import type { ParseTree, PostgresParser } from '../../sql/postgres-parser.ts'
import { INTENT } from '../../sql/statement-intent.ts'
import { type NamedRelation, treeFacts } from '../../sql/tree-facts.ts'

/** A function of a database, as `pg_proc` has it. */
export interface FunctionRow {
  readonly oid: string
  readonly schema: string
  readonly name: string
  readonly language: string
  /** `f` function, `p` procedure, `a` aggregate, `w` window function. */
  readonly kind: string
  /** `i` immutable, `s` stable, `v` volatile. */
  readonly volatility: string
  /** The extension that it came with. */
  readonly extension: string | null
  /** Body in SQL, or the whole definition; null when it is too long or of no use. */
  readonly source: string | null
  /** Expressions for arguments that are left out, separated by commas. */
  readonly defaults: string | null
  /** Of an aggregate: schema and name of the functions that it is made of. */
  readonly parts: readonly (readonly [string, string])[]
}

/** What a function does, as far as it stands in its body. */
export interface FunctionBody {
  /** What it calls besides harmless functions of PostgreSQL's own. */
  readonly calls: readonly CalledFunction[]
  /** Tables and views that it reads or writes, whose triggers and definitions may call anything. */
  readonly relations: readonly NamedRelation[]
  /** One of its statements may write. */
  readonly writes: boolean
}

const CATALOG = 'pg_catalog'
/** Extensions whose functions in C keep no state in the session but caches; but for those that are named. */
const TRUSTED_EXTENSIONS: ReadonlyMap<string, readonly string[]> = new Map([
  ...'btree_gin btree_gist citext cube earthdistance fuzzystrmatch hstore intarray ltree pgcrypto postgis seg unaccent vector'
    .split(' ')
    .map((name): [string, readonly string[]] => [name, []]),
  ['pg_trgm', ['set_limit']],
  ['uuid-ossp', []],
  ['moddatetime', []],
  ['insert_username', []],
  ['pg_stat_statements', []],
  ['isn', ['isn_weak']],
])

const PLAIN_STATEMENTS = new Set(
  'block assign if case case_when loop while fori fors forc foreach_a exit return return_next return_query raise assert execsql perform getdiag open fetch close'
    .split(' ')
    .map((name) => `PLpgSQL_stmt_${name}`),
)
/** parseMode of an expression without SELECT, and from which on it is an assignment (src/include/parser/parser.h). */
const EXPRESSION = 2
const ASSIGNMENT = 3

/** What stands in the body of a function; null when that cannot be told, and it may do anything. */
export function functionBody(row: FunctionRow, parser: PostgresParser): FunctionBody | null {
  const body = bodyOf(row, parser)
  if (body === null || row.defaults === null) return body
  const defaults = sqlBody(`SELECT ${row.defaults}`, parser)
  return defaults === null ? null : { ...body, calls: [...body.calls, ...defaults.calls] }
}

function bodyOf(row: FunctionRow, parser: PostgresParser): FunctionBody | null {
  if (row.kind === 'a') return aggregateBody(row)
  const exceptions = row.extension === null ? undefined : TRUSTED_EXTENSIONS.get(row.extension)
  if (row.language === 'c' && exceptions !== undefined) {
    return exceptions.includes(row.name) ? null : { calls: [], relations: [], writes: false }
  }
  if (row.source === null) return null
  if (row.language === 'sql') return sqlBody(row.source, parser)
  return row.language === 'plpgsql' ? plpgsqlBody(row.source, parser) : null
}

/** PostgreSQL's own parts take `internal` arguments mostly, so that no statement can call them and no list has them. */
function aggregateBody({ parts }: FunctionRow): FunctionBody | null {
  const own = new FunctionCalls()
  for (const part of parts) if (part[0] === CATALOG && own.add(part, false) !== 0) return null
  const calls = parts.filter(([schema]) => schema !== CATALOG).map(([schema, name]) => ({ schema, name }))
  return { calls, relations: [], writes: false }
}

/** Statements, or a whole CREATE FUNCTION whose body was parsed when it was made. */
function sqlBody(source: string, parser: PostgresParser): FunctionBody | null {
  const parsed = parser.parse(source)
  if (parsed.kind !== 'parsed') return null
  const { pins, isPlain, isFunction, calls, relations, intent } = treeFacts(parsed.tree)
  return pins === 0 && (isPlain || isFunction) ? { calls, relations, writes: intent === INTENT.write } : null
}

function plpgsqlBody(definition: string, parser: PostgresParser): FunctionBody | null {
  const parsed = parser.parseFunction(definition)
  if (parsed.kind !== 'parsed') return null
  const texts = textsOf(parsed.tree)
  if (texts === null) return null
  const bodies = texts.map((text) => sqlBody(text, parser))
  if (bodies.includes(null)) return null
  const known = bodies as FunctionBody[]
  return {
    calls: known.flatMap(({ calls }) => calls),
    relations: known.flatMap(({ relations }) => relations),
    writes: known.some(({ writes }) => writes),
  }
}

/** Everything in SQL that it executes; null when it executes texts that it makes, or does what only it can do. */
function textsOf(tree: ParseTree): readonly string[] | null {
  const texts: string[] = []
  const nodes: unknown[] = [tree]
  while (nodes.length > 0) {
    const node = nodes.pop()
    if (typeof node !== 'object' || node === null) continue
    for (const [key, value] of Object.entries(node)) {
      if (key === 'dynquery') return null
      if (key.startsWith('PLpgSQL_stmt_') && !PLAIN_STATEMENTS.has(key)) return null
      if (key === 'PLpgSQL_expr') {
        const text = textOf(value as { query?: string; parseMode?: number })
        if (text === null) return null
        texts.push(text)
      }
      nodes.push(value)
    }
  }
  return texts
}

function textOf({ query, parseMode = 0 }: { query?: string; parseMode?: number }): string | null {
  if (query === undefined) return null
  if (parseMode < EXPRESSION) return query
  if (parseMode === EXPRESSION) return `SELECT ${query}`
  if (parseMode < ASSIGNMENT) return null
  // Either sign assigns; what is before it may call functions as well, in subscripts.
  const sign = /^((?:[^:='"$/-]|"[^"]*")*?)(:=|=)([\s\S]*)$/.exec(query)
  if (sign === null) return null
  const subscripts = (sign[1] ?? '').replace(/^[^[]*/, '')
  return subscripts === '' ? `SELECT ${sign[3]}` : `SELECT ${sign[3]}, ARRAY${subscripts.replaceAll('][', ',')}`
}
