import type { ServerConnection } from '../server/server-connection.ts'
import { isCustom } from '../session/custom-names.ts'
import type { ParameterSet } from '../session/parameters.ts'

/** Listed by no view, and touched by whatever changes the user. */
export const ROLE = 'role'

/** What a server connection started with and what it has, as far as that is known. */
export type ServerSettings = Pick<ServerConnection, 'baseline' | 'parameters'>

/** The server says so itself when this one changes, in whatever way. */
export function isReported(server: ServerSettings, name: string): boolean {
  return server.baseline.values.has(name)
}

/**
 * Where this setting is RESET it goes back to the server's own default, which for a setting of the startup packet (`initial`) is not the
 * session's; nothing the server reports would tell.
 */
export function isFollowedReset(server: ServerSettings, name: string, initial: ParameterSet | null): boolean {
  if (!isReported(server, name)) return true
  const value = initial?.values.get(name)
  return value !== undefined && value !== server.baseline.values.get(name)
}

/** Those that a session may be forbidden to see. */
export function named(names: ReadonlySet<string>): string[] {
  return [...names].filter((name) => !isCustom(name) && name !== ROLE)
}

/** Settings that the server connection had and has no more, as changes: `listed` are those that it has. */
export function unlisted(server: ServerSettings, listed: ReadonlyMap<string, string>): [string, null][] {
  const gone: [string, null][] = []
  for (const name of server.parameters.values.keys()) {
    const isListable = !isReported(server, name) && !isCustom(name) && name !== ROLE
    if (isListable && !listed.has(name)) gone.push([name, null])
  }
  return gone
}

/** Text comes from the server in our own encoding. */
export function isUtf8(parameters: ParameterSet): boolean {
  const encoding = parameters.values.get('client_encoding')?.toUpperCase()
  return encoding === 'UTF8' || encoding === 'SQL_ASCII'
}
