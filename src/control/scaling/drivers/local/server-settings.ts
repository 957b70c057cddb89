import { ConfigError } from '../../../../errors.ts'

/** Name of the file with Switchyard's settings in a data directory; `postgresql.conf` includes it last. */
export const settingsFileName = 'switchyard.conf'

/** Name of the file in a data directory from which a replica takes the password for its primary (libpq's passfile). */
export const passFileName = 'switchyard.pgpass'

/** What a shard needs to be a member of a cluster that scales, fails over and moves tenants; sized for one machine. */
const defaults: Readonly<Record<string, string>> = {
  max_connections: '200',
  shared_buffers: '64MB',
  wal_level: 'logical',
  max_wal_senders: '20',
  max_replication_slots: '20',
  hot_standby: 'on',
  // Lets pg_rewind bring an old primary back, also without data checksums.
  wal_log_hints: 'on',
  // A standby that lost its primary looks again after this long; with the default of 5 s a promotion may wait that long.
  wal_retrieve_retry_interval: '100ms',
  // A replica that never comes back may not fill the disk with WAL kept for it.
  max_slot_wal_keep_size: '4GB',
  password_encryption: 'scram-sha-256',
  log_line_prefix: '%m [%p] %q%u@%d %a ',
}

/** Settings that the launcher decides itself. */
const reserved: ReadonlySet<string> = new Set([
  'cluster_name',
  'config_file',
  'data_directory',
  'external_pid_file',
  'hba_file',
  'ident_file',
  'listen_addresses',
  'logging_collector',
  'port',
  'primary_conninfo',
  'primary_slot_name',
  'unix_socket_directories',
])

/**
 * @param settings the operator's, by PostgreSQL's names
 * @throws ConfigError for a name that cannot be one, or that the launcher decides
 */
export function checkSettings(settings: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(settings)) {
    if (!/^[A-Za-z_][A-Za-z0-9_$.]*$/.test(name)) {
      throw new ConfigError(`"${name}" is not the name of a PostgreSQL setting: use letters, digits, "_" and ".".`)
    }
    if (reserved.has(name.toLowerCase())) {
      throw new ConfigError(`The setting "${name}" of local shards is decided by Switchyard itself: leave it out.`)
    }
    if (/[\n\r\0]/.test(value)) throw new ConfigError(`The value of the setting "${name}" must be a single line.`)
  }
}

/** `name = 'value'` as a configuration file has it; backslashes are escapes there. */
function settingLine(name: string, value: string): string {
  return `${name} = '${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`
}

/** The text of `switchyard.conf` for one shard. The port is given on the command line, where nothing can override it. */
export function renderSettings(
  shard: { name: string; socketDirectory: string | null },
  settings: Readonly<Record<string, string>>,
): string {
  const all: Record<string, string> = {
    ...defaults,
    ...settings,
    cluster_name: shard.name,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: shard.socketDirectory ?? '',
    unix_socket_permissions: '0700',
  }
  const lines = Object.entries(all).map(([name, value]) => settingLine(name, value))
  return `# Written by Switchyard at every start of this shard: changes here are lost.\n${lines.join('\n')}\n`
}

/** Who may connect: everybody with a password, from this machine. */
export const hbaText = `# Written by Switchyard when this shard was created.
# TYPE  DATABASE     USER  ADDRESS       METHOD
local   all          all                 scram-sha-256
local   replication  all                 scram-sha-256
host    all          all   127.0.0.1/32  scram-sha-256
host    replication  all   127.0.0.1/32  scram-sha-256
`

/**
 * `primary_conninfo` of a replica. The walreceiver runs in the data directory, so the passfile needs no path, and no
 * password is ever seen in `SHOW` or a log. Its application_name is the shard's `cluster_name`.
 */
export function primaryConnInfo(primary: { port: number; user: string; major: number }): string {
  // Whoever takes the primary's port while that is down could else ask for the password in clear text (libpq 16 and up).
  const scramOnly = primary.major >= 16 ? ' require_auth=scram-sha-256' : ''
  return (
    `host=127.0.0.1 port=${primary.port} user=${primary.user} dbname=postgres passfile=${passFileName} ` +
    `sslmode=disable gssencmode=disable${scramOnly}`
  )
}

/** The line of a passfile for any server: https://www.postgresql.org/docs/current/libpq-pgpass.html */
export function passFileText(user: string, password: string): string {
  const escaped = (text: string) => text.replace(/[\\:]/g, '\\$&')
  return `*:*:*:${escaped(user)}:${escaped(password)}\n`
}

/** A replica's slot on its primary: slot names have no hyphens. */
export function slotName(shardName: string): string {
  return shardName.replaceAll('-', '_')
}

/**
 * The text of `postgresql.auto.conf` with some settings replaced. That file wins over all others and over what an
 * earlier ALTER SYSTEM left, which is why a stopped replica is pointed at its primary here.
 */
export function replaceAutoSettings(text: string, values: Readonly<Record<string, string>>): string {
  const kept = text.split('\n').filter((line) => {
    const name = /^\s*([A-Za-z_][A-Za-z0-9_$.]*)/.exec(line)?.[1]?.toLowerCase()
    return line.trim() !== '' && (name === undefined || values[name] === undefined)
  })
  return `${[...kept, ...Object.entries(values).map(([name, value]) => settingLine(name, value))].join('\n')}\n`
}
