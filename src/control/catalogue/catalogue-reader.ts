import { setImmediate as nextTurn } from 'node:timers/promises'
import pg from 'pg'
import type { DatabaseFunctions } from '../../shard/database-functions.ts'
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

/**
 * Which functions of a database are harmless, and which relations lead to others; null: its version is still `known`. One connection for one reading.
 * @throws whatever connecting and asking throw, and an Error when there is too much of them
 */
export async function readCatalogue(
  config: pg.ClientConfig,
  known: string | null,
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
    const rows = (await client.query<FunctionRow>(FUNCTIONS_SQL, [MOST_FUNCTIONS + 1])).rows
    if (rows.length > MOST_FUNCTIONS) throw new Error(`there are more than ${MOST_FUNCTIONS} functions`)
    const examined = await examine(rows, parser)
    const { hidden, ...found } = await judge(examined, (sql) => rowsOf(client, sql))
    return { functions: { version, ...found }, hidden }
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

/** What leads to relations need not be known where nothing harmful is called by any, which is the rule. */
async function judge(
  functions: readonly ExaminedFunction[],
  read: (sql: string) => Promise<readonly RelationRow[]>,
): Promise<HarmlessFunctions> {
  const calls = await read(CALLS_SQL)
  const found = harmlessFunctions(functions, calls)
  if (found.relations.read.length + found.relations.written.length === 0) return found
  return harmlessFunctions(functions, [...calls, ...(await read(LINKS_SQL))])
}

async function rowsOf(client: pg.Client, sql: string): Promise<readonly RelationRow[]> {
  const { rows } = await client.query<RelationRow>(sql, [MOST_ROWS + 1])
  if (rows.length > MOST_ROWS) throw new Error(`more than ${MOST_ROWS} triggers, views and the like call functions`)
  return rows
}
