import type { ServerConnection } from '../server/server-connection.ts'
import type { ParameterRegistry, ParameterSet } from '../session/parameters.ts'

/** RESET ALL leaves these alone. */
const IDENTITY = ['role', 'session_authorization'] as const

/**
 * SQL that gives a server connection the settings of the session with this serial number; empty when it has them. Settings
 * that another session may have made there without anybody's knowledge are reset with all others.
 */
export function settingsSql(
  registry: ParameterRegistry,
  server: ServerConnection,
  wanted: ParameterSet,
  serial: number,
): string {
  const { parameters, baseline } = server
  const { dialect } = server.identity
  if (server.hidesSettingsOf === 0 || server.hidesSettingsOf === serial) {
    return registry.difference(parameters, wanted, dialect)
  }
  server.hidesSettingsOf = 0
  const reset = registry.change(
    baseline,
    IDENTITY.map((name) => [name, parameters.values.get(name) ?? null]),
  )
  const difference = registry.difference(reset, wanted, dialect)
  return difference === '' ? 'RESET ALL' : `RESET ALL;${difference}`
}
