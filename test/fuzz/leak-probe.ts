import { type LoginOptions, type WireAddress, WireClient } from '../support/wire-client.ts'
import * as wire from '../support/wire-frames.ts'
import { rowsOf, type WireMessage } from '../support/wire-message.ts'
import { NAMES } from './setting-statements.ts'

/** Names of statements that begin with `switchyard_` are the router's own. */
const STATEMENTS = `SELECT name FROM pg_prepared_statement() WHERE name NOT LIKE 'switchyard\\_%'`
const CURSORS = `SELECT name FROM pg_cursor() WHERE name <> ''`
const CHANNELS = 'SELECT pg_listening_channels() AS name'

const namesOf = (query: string): string => `(SELECT string_agg(name, E'\\n') FROM (${query}) AS n)`

/** What programs may leave in a session: how it is called, and how it is asked for. A setting that nobody has set may be empty. */
const LEFT: readonly (readonly [title: string, sql: string])[] = [
  ...NAMES.map((name) => [`setting ${name} =`, `current_setting('${name}', true)`] as const),
  ['users', "concat_ws(' ', current_user, session_user)"],
  ['statement', namesOf(STATEMENTS)],
  ['cursor', namesOf(CURSORS)],
  ['channel', namesOf(CHANNELS)],
]

/** One row, and for little, as it is asked for behind each program. What there is several of stands in lines. */
const QUICK = `SELECT ${LEFT.map(([, sql]) => sql).join(', ')}`

/**
 * The same, and what nobody thinks of: any setting, temporary objects and locks. A setting counts by its value: one that was
 * set back by hand says `session` for its source for ever.
 */
const THOROUGH = `
  SELECT 'setting ' || name || ' = ' || setting AS what FROM pg_settings
    WHERE source NOT IN ('default', 'override', 'configuration file', 'environment variable')
  UNION ALL SELECT 'tenant ' || current_setting('app.tenant', true) WHERE current_setting('app.tenant', true) <> ''
  UNION ALL SELECT 'user name ' || current_setting('app.user_name', true)
    WHERE current_setting('app.user_name', true) <> ''
  UNION ALL SELECT 'temporary ' || relname FROM pg_class WHERE relnamespace = pg_my_temp_schema()
  UNION ALL SELECT 'lock ' || objid FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()
  UNION ALL SELECT 'users ' || current_user || ' ' || session_user
  UNION ALL SELECT 'statement ' || name FROM (${STATEMENTS}) AS s
  UNION ALL SELECT 'cursor ' || name FROM (${CURSORS}) AS c
  UNION ALL SELECT 'channel ' || name FROM (${CHANNELS}) AS l ORDER BY 1`

/** How closely sessions are looked at. */
export type Depth = 'quick' | 'thorough'

/** The query, and its answer as a line for each thing found. */
const PROBES: Readonly<Record<Depth, { sql: string; lines: (answer: readonly WireMessage[]) => string[] }>> = {
  quick: { sql: QUICK, lines: linesOfRow },
  thorough: { sql: THOROUGH, lines: (answer) => rowsOf(answer).map(([what]) => String(what)) },
}

function linesOfRow(answer: readonly WireMessage[]): string[] {
  const values = rowsOf(answer)[0] ?? []
  return LEFT.flatMap(([title], at) => {
    const value = values[at] ?? ''
    return value === '' ? [] : value.split('\n').map((each) => `${title} ${each}`)
  })
}

/** What a session is that nobody has had before, as PostgreSQL itself says. */
export interface Fresh {
  /** As the probes show it. */
  readonly contents: Readonly<Record<Depth, readonly string[]>>
  /** Values of all settings, also of those at their default. */
  readonly settings: ReadonlyMap<string, string>
}

/** Looks at a session of somebody who logs in to PostgreSQL itself. */
export async function freshSession(address: WireAddress, login: LoginOptions): Promise<Fresh> {
  const client = await WireClient.open(address, login)
  try {
    const look = async (depth: Depth): Promise<string[]> => {
      return PROBES[depth].lines(await client.query(PROBES[depth].sql))
    }
    const contents = { quick: await look('quick'), thorough: await look('thorough') }
    const settings = rowsOf(await client.query('SELECT name, setting FROM pg_settings'))
    return { contents, settings: new Map(settings.map(([name, setting]) => [String(name), String(setting)])) }
  } finally {
    client.close()
  }
}

/**
 * What each of these clients, which have asked for nothing so far, finds at the same time as the others, so that each is on
 * another one of the router's server connections. They go on to be what they were.
 */
export async function probeSessions(clients: readonly WireClient[], depth: Depth): Promise<string[][]> {
  const { sql, lines } = PROBES[depth]
  const found = await Promise.all(
    clients.map(async (client) => {
      const answer = await client.exchange(Buffer.concat([wire.query('BEGIN'), wire.query(sql)]), 2)
      const errors = answer.filter(({ type }) => type === 'E').map(({ fields }) => `error ${fields.C} ${fields.M}`)
      return [...errors, ...lines(answer)]
    }),
  )
  await Promise.all(clients.map((client) => client.query('ROLLBACK')))
  return found
}

/** A sentence for each thing that is in a session and should not be, or the other way round. */
export function leaksOf({ contents, settings }: Fresh, found: readonly (readonly string[])[], depth: Depth): string[] {
  const expected = contents[depth]
  const isFresh = (what: string): boolean => expected.includes(what) || isDefault(what, settings)
  const left = found.flatMap((session) =>
    session.filter((what) => !isFresh(what)).map((what) => `left behind: ${what}`),
  )
  const missing = found.flatMap((session) =>
    expected.filter((what) => !session.includes(what)).map((what) => `missing: ${what}`),
  )
  return [...left, ...missing]
}

/** A setting that was put back by hand has its value, and another source. */
function isDefault(what: string, settings: ReadonlyMap<string, string>): boolean {
  const [, name, value] = /^setting (\S+) = (.*)$/s.exec(what) ?? []
  return name !== undefined && settings.get(name) === value
}
