import type { LoginOptions, WireAddress } from '../support/wire-client.ts'
import { WireClient } from '../support/wire-client.ts'
import { rowsOf } from '../support/wire-message.ts'

/**
 * What somebody else may have left in a session. Names of statements that begin with `switchyard_` are the router's own.
 * A setting counts by its value: one that was set back by hand says `session` for its source for ever.
 */
const PROBE = `
  SELECT 'setting ' || name || ' = ' || setting FROM pg_settings
    WHERE source NOT IN ('default', 'override', 'configuration file', 'environment variable')
  UNION ALL SELECT 'tenant ' || current_setting('app.tenant', true) WHERE current_setting('app.tenant', true) <> ''
  UNION ALL SELECT 'user name ' || current_setting('app.user_name', true)
    WHERE current_setting('app.user_name', true) <> ''
  UNION ALL SELECT 'users ' || current_user || ' ' || session_user
  UNION ALL SELECT 'temporary ' || relname FROM pg_class WHERE relnamespace = pg_my_temp_schema()
  UNION ALL SELECT 'statement ' || name FROM pg_prepared_statements WHERE name NOT LIKE 'switchyard\\_%'
  UNION ALL SELECT 'cursor ' || name FROM pg_cursors WHERE name <> ''
  UNION ALL SELECT 'lock ' || objid FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()
  UNION ALL SELECT 'channel ' || c FROM pg_listening_channels() c
  ORDER BY 1`

/** What a session is that nobody has had before, as PostgreSQL itself says. */
export interface Fresh {
  /** As the probe shows it. */
  readonly contents: readonly string[]
  /** Values of all settings, also of those at their default. */
  readonly settings: ReadonlyMap<string, string>
}

/** Looks at a session of somebody who logs in to PostgreSQL itself. */
export async function freshSession(address: WireAddress, login: LoginOptions): Promise<Fresh> {
  const client = await WireClient.open(address, login)
  try {
    const contents = rowsOf(await client.query(PROBE)).map(([what]) => String(what))
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
export async function probeSessions(address: WireAddress, login: LoginOptions, count: number): Promise<string[][]> {
  const clients: WireClient[] = []
  try {
    const found: string[][] = []
    for (let n = 0; n < count; n += 1) {
      const client = await WireClient.open(address, login)
      clients.push(client)
      await client.query('BEGIN')
      const answer = await client.query(PROBE)
      const errors = answer.filter(({ type }) => type === 'E').map(({ fields }) => `error ${fields.C} ${fields.M}`)
      found.push([...errors, ...rowsOf(answer).map(([what]) => String(what))])
    }
    for (const client of clients) {
      await client.query('ROLLBACK')
      await client.goodbye()
    }
    return found
  } catch (error) {
    return [[`no session at all: ${error instanceof Error ? error.message : String(error)}`]]
  } finally {
    for (const client of clients) client.close()
  }
}

/** A sentence for each thing that is in a session and should not be, or the other way round. */
export function leaksOf({ contents, settings }: Fresh, found: readonly (readonly string[])[]): string[] {
  const isFresh = (what: string): boolean => contents.includes(what) || isDefault(what, settings)
  const left = found.flatMap((session) =>
    session.filter((what) => !isFresh(what)).map((what) => `left behind: ${what}`),
  )
  const missing = found.flatMap((session) =>
    contents.filter((what) => !session.includes(what)).map((what) => `missing: ${what}`),
  )
  return [...left, ...missing]
}

/** A setting that was put back by hand has its value, and another source. */
function isDefault(what: string, settings: ReadonlyMap<string, string>): boolean {
  const [, name, value] = /^setting (\S+) = (.*)$/s.exec(what) ?? []
  return name !== undefined && settings.get(name) === value
}
