import { execFileSync } from 'node:child_process'
import { chownSync, mkdirSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { Daemon, freePort } from './child.ts'
import type { Cleanup } from './cleanup.ts'
import { benchName, type Mode, type Peer, poolSize } from './peer.ts'
import { type PostgresServer, query } from './postgres-server.ts'
import { serviceUser } from './service-user.ts'

/** PgBouncer follows prepared statements between server connections from this version on. */
const preparedSince = [1, 21]
const sessionDatabase = `${benchName}_session`

/** `/usr/sbin`, where Debian puts it, is not on every user's path. */
const environment = { ...process.env, PATH: `${process.env.PATH}${delimiter}/usr/sbin` }

/** The installed version, or null when there is none. */
export function pgbouncerVersion(): string | null {
  try {
    const text = execFileSync('pgbouncer', ['--version'], { encoding: 'utf8', env: environment })
    return /PgBouncer (\S+)/.exec(text)?.[1] ?? null
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
    throw error
  }
}

/**
 * PgBouncer before `server`: transaction pooling with `poolSize` server connections, SCRAM towards clients. A version that cannot
 * follow prepared statements gets the `prepared` mode in session pooling, with a server connection for every client.
 */
export async function startPgbouncer(options: {
  readonly server: PostgresServer
  readonly version: string
  readonly directory: string
  readonly maxClients: number
  readonly cleanup: Cleanup
}): Promise<Peer> {
  const { server, cleanup } = options
  const directory = join(options.directory, 'pgbouncer')
  const port = await freePort()
  const user = serviceUser()
  mkdirSync(directory, { mode: 0o700 })
  const files = {
    'userlist.txt': `"${server.address.user}" "${server.verifier}"\n`,
    'pgbouncer.ini': configuration({ ...options, port, directory, followsPrepared: follows(options.version) }),
  }
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text, { mode: 0o600 })
  if (user !== null) {
    for (const name of ['', ...Object.keys(files)]) chownSync(join(directory, name), user.uid, user.gid)
  }
  const daemon = await Daemon.start(
    {
      name: 'PgBouncer',
      command: 'pgbouncer',
      args: ['-q', join(directory, 'pgbouncer.ini')],
      logFile: join(options.directory, 'pgbouncer.log'),
      env: environment,
      cwd: directory,
      ...user,
    },
    cleanup,
  )
  const address = { ...server.address, port }
  await daemon.untilReady(async () => void (await query(address, 'select 1')), 20_000, cleanup.signal)
  const pooling = (mode: Mode) => (mode === 'prepared' && !follows(options.version) ? 'session' : 'transaction')
  return {
    name: 'pgbouncer',
    version: options.version,
    address: (mode) => (pooling(mode) === 'session' ? { ...address, database: sessionDatabase } : address),
    pooling,
    processes: () => daemon.processes(),
    stop: () => daemon.stop(),
  }
}

function follows(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const [sinceMajor = 0, sinceMinor = 0] = preparedSince
  return major > sinceMajor || (major === sinceMajor && minor >= sinceMinor)
}

function configuration(options: {
  readonly server: PostgresServer
  readonly directory: string
  readonly port: number
  readonly maxClients: number
  readonly followsPrepared: boolean
}): string {
  const { address } = options.server
  const target = `host=${address.host} port=${address.port} dbname=${benchName} user=${address.user} password=${address.password}`
  return `[databases]
${benchName} = ${target}
${sessionDatabase} = ${target} pool_mode=session pool_size=${options.maxClients}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${options.port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = ${join(options.directory, 'userlist.txt')}
pool_mode = transaction
default_pool_size = ${poolSize}
max_client_conn = ${options.maxClients + 50}
log_connections = 0
log_disconnections = 0
${options.followsPrepared ? 'max_prepared_statements = 200' : ''}
`
}
