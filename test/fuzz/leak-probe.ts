import { type LoginOptions, type WireAddress, WireClient } from '../support/wire-client.ts'
import * as wire from '../support/wire-frames.ts'
import { rowsOf } from '../support/wire-message.ts'
import { NAMES } from './setting-statements.ts'

/** Names of statements that begin with `switchyard_` are the router's own. */
const OBJECTS = `
  SELECT 'users ' || current_user || ' ' || session_user AS what
  UNION ALL SELECT 'statement ' || name FROM pg_prepared_statements WHERE name NOT LIKE 'switchyard\\_%'
  UNION ALL SELECT 'cursor ' || name FROM pg_cursors WHERE name <> ''
  UNION ALL SELECT 'channel ' || c FROM pg_listening_channels() c`

/** What programs may leave in a session, and can be looked at for little. A setting that nobody has set may be empty. */
const QUICK = `
  SELECT 'setting ' || name || ' = ' || current_setting(name, true) AS what
    FROM unnest('{${NAMES.join(',')}}'::text[]) AS name WHERE current_setting(name, true) <> ''
  UNION ALL ${OBJECTS} ORDER BY 1`

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
  UNION ALL ${OBJECTS} ORDER BY 1`

/** For the whole database: what nobody may have any more when all clients have gone. */
export const LEFTOVERS = `
  SELECT 'temporary ' || relname AS what FROM pg_class WHERE relpersistence = 't'
  UNION ALL SELECT 'lock ' || objid FROM pg_locks
    WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`

/** How closely sessions are looked at. */
export type Depth = 'quick' | 'thorough'

const PROBES: Readonly<Record<Depth, string>> = { quick: QUICK, thorough: THOROUGH }

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
      return rowsOf(await client.query(PROBES[depth])).map(([what]) => String(what))
    }
    const contents = { quick: await look('quick'), thorough: await look('thorough') }
    const settings = rowsOf(await client.query('SELECT name, setting FROM pg_settings'))
    return { contents, settings: new Map(settings.map(([name, setting]) => [String(name), String(setting)])) }
  } finally {
    client.close()
  }
}

/**
 * What a client that has just logged in finds in each of `count` sessions at the same time, so that each is another one of
 * the router's server connections.
 */
export async function probeSessions(
  address: WireAddress,
  login: LoginOptions,
  count: number,
  depth: Depth,
): Promise<string[][]> {
  const clients: WireClient[] = []
  try {
    const found = await Promise.all(
      Array.from({ length: count }, async () => {
        const client = await WireClient.open(address, login)
        clients.push(client)
        client.send(wire.query('BEGIN'), wire.query(PROBES[depth]))
        const answer = [...(await client.until('Z')), ...(await client.until('Z'))]
        const errors = answer.filter(({ type }) => type === 'E').map(({ fields }) => `error ${fields.C} ${fields.M}`)
        return [...errors, ...rowsOf(answer).map(([what]) => String(what))]
      }),
    )
    await Promise.all(
      clients.map(async (client) => {
        client.send(wire.query('ROLLBACK'))
        await client.until('Z')
        await client.goodbye()
      }),
    )
    return found
  } catch (error) {
    return [[`no session at all: ${error instanceof Error ? error.message : String(error)}`]]
  } finally {
    for (const client of clients) client.close()
  }
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
