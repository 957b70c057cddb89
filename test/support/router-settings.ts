import { stringify } from 'smol-toml'

/** The configuration file as nested tables, with the file's own names. */
export interface RouterSettings {
  readonly [name: string]: SettingValue
}
export type SettingValue = string | number | boolean | readonly SettingValue[] | RouterSettings

export const CONSOLE_USER = 'console_admin'
export const CONSOLE_PASSWORD = 'console secret'
/** Listed in every router's users; has no role on the shards. */
export const CONSOLE = { user: CONSOLE_USER, password: CONSOLE_PASSWORD }

export interface ShardAddress {
  readonly name: string
  readonly host: string
  readonly port: number
}

/** What every test's router needs: these shards, a console user, and times short enough for tests. */
export function baseSettings(
  shards: readonly ShardAddress[],
  monitor: { readonly user: string; readonly password: string },
  users: readonly { readonly user: string; readonly password: string }[],
): RouterSettings {
  return {
    shards: shards.map((shard) => ({ name: shard.name, host: shard.host, port: shard.port, max_connections: 60 })),
    monitor: { user: monitor.user, password: monitor.password, interval: '200ms' },
    users: usersOf([...users, CONSOLE]),
    admin: { users: [CONSOLE_USER] },
    timeouts: { drain: '5s', server_login_retry: '100ms', query_wait: '15s', server_connect: '5s' },
    log: { level: 'debug', format: 'json' },
  }
}

/** `[[users]]` with these. */
export function usersOf(roles: readonly { readonly user: string; readonly password: string }[]): SettingValue {
  return roles.map(({ user, password }) => ({ name: user, password }))
}

/** `changes` over `settings`: tables are merged, everything else (arrays too) is replaced. */
export function mergeSettings(settings: RouterSettings, changes: RouterSettings): RouterSettings {
  const merged: Record<string, SettingValue> = { ...settings }
  for (const [name, value] of Object.entries(changes)) {
    const present = merged[name]
    merged[name] = isTable(present) && isTable(value) ? mergeSettings(present, value) : value
  }
  return merged
}

export function toToml(settings: RouterSettings): string {
  return stringify(settings)
}

function isTable(value: SettingValue | undefined): value is RouterSettings {
  return typeof value === 'object' && !Array.isArray(value)
}
