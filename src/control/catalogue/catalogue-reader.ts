import { setImmediate as nextTurn } from 'node:timers/promises'
import pg from 'pg'
import { type DatabaseFunctions, NO_RELATIONS } from '../../shard/database-functions.ts'
import type { PostgresParser } from '../../sql/postgres-parser.ts'
import { FUNCTIONS_SQL, VERSION_SQL } from './catalogue-sql.ts'
import { type FunctionRow, functionBody } from './function-body.ts'
import type { RelationRow } from './harmful-relations.ts'
import { type ExaminedFunction, type HarmlessFunctions, harmlessFunctions } from './harmless-functions.ts'
import { CALLS_SQL, LINKS_SQL } from './relations-sql.ts'

/** A database with more functions than this is not looked at. */
const MOST_FUNCTIONS = 20_000
/** Nor is one in which more of its objects call functions, or lead to each other. */
const MOST_ROWS = 200_000
/** So many bodies are parsed before somebody else has a turn. */
const AT_ONCE = 50

/** What was read. `hidden`: functions that may do anything and are called unseen, for the log. */
export interface ReadCatalogue {
  readonly functions: DatabaseFunctions
  readonly hidden: readonly string[]
}

/** What is asked for. `known`: the version that need not be read again. `withNames`: of harmless functions, too. */
export interface CatalogueQuestion {
  readonly known: string | null
  readonly withNames: boolean
}

const NOTHING: HarmlessFunctions = { names: [], reading: [], qualified: [], relations: NO_RELATIONS, hidden: [] }

/**
 * Which functions of a database are harmless, and which relations lead to others; null: its version is still `known`. One
 * connection for one reading.
 * @throws whatever connecting and asking throw, and an Error when there is too much of them
 */
export async function readCatalogue(
  config: pg.ClientConfig,
  { known, withNames }: CatalogueQuestion,
  parser: PostgresParser,
): Promise<ReadCatalogue | null> {
  const client = new pg.Client(config)
  // A connection that breaks shows in the query under way.
  client.on('error', () => {})
  try {
    await client.connect()
    // All of it is of one moment.
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
    const version = String((await client.query<{ version: string }>(VERSION_SQL)).rows[0]?.version)
    if (version === known) return null
    const calls = await rowsOf(client, CALLS_SQL)
    const isNeeded = withNames || calls.length > 0
    const { hidden, ...found } = isNeeded ? await judge(client, calls, parser) : NOTHING
    const { names, reading, qualified } = withNames ? found : NOTHING
    const { relations } = found
    return { functions: { version, hasNames: withNames, names, reading, qualified, relations }, hidden }
  } finally {
    await client.end().catch(() => {})
  }
}

async function examine(rows: readonly FunctionRow[], parser: PostgresParser): Promise<readonly ExaminedFunction[]> {
  const examined = []
  for (const [at, row] of rows.entries()) {
    examined.push({ ...row, body: functionBody(row, parser) })
    if (at % AT_ONCE === 0) await nextTurn()
  }
  return examined
}

/** Bodies are read where something calls functions. What leads to relations, where something harmful is called. */
async function judge(
  client: pg.Client,
  calls: readonly RelationRow[],
  parser: PostgresParser,
): Promise<HarmlessFunctions> {
  const { rows } = await client.query<FunctionRow>(FUNCTIONS_SQL, [MOST_FUNCTIONS + 1])
  if (rows.length > MOST_FUNCTIONS) throw new Error(`there are more than ${MOST_FUNCTIONS} functions`)
  const functions = await examine(rows, parser)
  const found = harmlessFunctions(functions, calls)
  if (found.relations.read.length + found.relations.written.length === 0) return found
  return harmlessFunctions(functions, [...calls, ...(await rowsOf(client, LINKS_SQL))])
}

async function rowsOf(client: pg.Client, sql: string): Promise<readonly RelationRow[]> {
  const { rows } = await client.query<RelationRow>(sql, [MOST_ROWS + 1])
  if (rows.length > MOST_ROWS) throw new Error(`more than ${MOST_ROWS} triggers, views and the like call functions`)
  return rows
}
