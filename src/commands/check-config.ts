import { configWarnings } from '../config/config-warnings.ts'
import type { Environment } from '../config/environment.ts'
import { loadConfig } from '../config/load-config.ts'
import type { Config } from '../config/schema.ts'
import { policyTable } from '../control/policy/policy-table.ts'
import { ConfigError } from '../errors.ts'

/**
 * `switchyard check-config FILE`: reads the configuration as `start` would, and tells what it says or what is wrong
 * with it. Returns the exit code: 0 when `start` would take it, 1 when not. `write` gets whole lines, newline included.
 */
export function checkConfig(path: string, environment: Environment, write: (text: string) => void): number {
  let config: Config
  try {
    config = loadConfig(path, environment)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    write(`${error.message}\n`)
    return 1
  }
  write(`${path}: OK\n`)
  for (const line of summary(config)) write(`  ${line}\n`)
  for (const warning of configWarnings(config, Date.now())) write(`  warning: ${warning}\n`)
  return 0
}

function summary(config: Config): readonly string[] {
  const { listen, http, shards, databases, users, hba, admin, auth } = config
  const listeners = listen.addresses.map((address) => endpoint(address, listen.port))
  if (listen.unixSocketDirectory !== null) listeners.push(`${listen.unixSocketDirectory}/.s.PGSQL.${listen.port}`)
  const consoleUsers = [...admin.users, ...admin.statsUsers]
  const lookup = auth.query === null ? '' : ', others by auth.query'
  return [
    `clients    ${listeners.join(', ')} (TLS: ${config.clientTls.mode})`,
    `http       ${endpoint(http.address, http.port)}`,
    ...[...new Set(shards.map(({ group }) => group))].map((group) => `group      ${groupLine(config, group)}`),
    `databases  ${databases.map(({ entry }) => (entry === '*' ? '* (every other name)' : entry)).join(', ')}`,
    `users      ${users.map(({ name }) => name).join(', ') || 'none listed'}${lookup}`,
    `console    ${consoleUsers.join(', ') || 'nobody (admin.users is empty)'}`,
    ...hba.map((rule) => `access     ${ruleText(rule)}`),
    ...policyTable(config).map((line) => `tiers      ${line}`),
    `data       ${config.data.directory}`,
  ]
}

/** As in `pg_hba.conf`. */
function ruleText({ type, database, user, address, method }: Config['hba'][number]): string {
  const from = type === 'local' ? '' : ` ${address.join(',')}`
  return `${type} ${database.join(',')} ${user.join(',')}${from} ${method}`
}

function groupLine({ shards }: Config, group: string): string {
  const members = shards.filter((shard) => shard.group === group)
  return `${group}: ${members.map(({ name, host, port }) => `${name} (${endpoint(host, port)})`).join(', ')}`
}

function endpoint(host: string, port: number): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}
