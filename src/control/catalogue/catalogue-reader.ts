import { setImmediate as nextTurn } from 'node:timers/promises'
import pg from 'pg'
import type { DatabaseFunctions } from '../../shard/database-functions.ts'
import type { PostgresParser } from '../../sql/postgres-parser.ts'
import { FUNCTIONS_SQL, LOUD_SQL, UNSEEN_SQL, VERSION_SQL } from './catalogue-sql.ts'
import { type FunctionRow, functionBody } from './function-body.ts'
import { harmlessFunctions } from './harmless-functions.ts'

/** A database with more functions than this is not looked at. */
const MOST_FUNCTIONS = 20_000
/** So many bodies are parsed before somebody else has a turn. */
const AT_ONCE = 50

/** What was read. `hidden`: functions that may do anything and are called unseen, for the log. */
export interface ReadCatalogue {
  readonly functions: DatabaseFunctions
  readonly hidden: readonly string[]
}

/**
 * Which functions of a database are harmless; null: its version is still `known`. One connection for one reading.
 * @throws whatever connecting and asking throw, and an Error when there are too many functions
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
    const unseen = (await client.query<{ oid: string }>(UNSEEN_SQL)).rows.map(({ oid }) => oid)
    const isLoud = (await client.query<{ loud: boolean }>(LOUD_SQL)).rows[0]?.loud !== false
    const examined = []
    for (const [at, row] of rows.entries()) {
      examined.push({ ...row, body: functionBody(row, parser) })
      if (at % AT_ONCE === 0) await nextTurn()
    }
    const { names, reading, qualified, hidden } = harmlessFunctions(examined, new Set(unseen), !isLoud)
    return {
      functions: { version, names, reading, qualified },
      hidden: isLoud ? ['pg_catalog.set_config', ...hidden] : hidden,
    }
  } finally {
    await client.end().catch(() => {})
  }
}
