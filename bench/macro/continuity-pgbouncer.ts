import { chownSync, mkdirSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import pg from 'pg'
import type { LoginOptions, WireAddress } from '../../test/support/wire-client.ts'
import type { Bench } from './bench-environment.ts'
import { Daemon, freePort } from './child.ts'
import { pgbouncerVersion } from './pgbouncer-peer.ts'
import { serviceUser } from './service-user.ts'

export interface PausablePgbouncer {
  readonly address: WireAddress
  /** Gives a command at its console. */
  command(text: string): Promise<void>
}

/** PgBouncer with transaction pooling before a server; null where it is not installed. Stopped with the benchmark. Old versions do not follow prepared statements, so the load has none. */
export async function startPgbouncerBefore(options: {
  readonly server: WireAddress
  readonly login: LoginOptions
  readonly clients: number
  readonly bench: Bench
}): Promise<PausablePgbouncer | null> {
  const { server, login, clients, bench } = options
  if (pgbouncerVersion() === null) {
    console.error('pgbouncer not installed: apt-get install pgbouncer. Going on without it.')
    return null
  }
  const directory = join(bench.directory, 'pgbouncer-continuity')
  const port = await freePort()
  const user = serviceUser()
  mkdirSync(directory, { mode: 0o700 })
  const files = {
    'userlist.txt': `"${login.user}" "${login.password}"\n`,
    'pgbouncer.ini': `[databases]
* = host=${server.host} port=${server.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = ${join(directory, 'userlist.txt')}
admin_users = ${login.user}
pool_mode = transaction
default_pool_size = 40
max_client_conn = ${clients + 50}
`,
  }
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text, { mode: 0o600 })
  if (user !== null)
    for (const name of ['', ...Object.keys(files)]) chownSync(join(directory, name), user.uid, user.gid)
  const daemon = await Daemon.start(
    {
      name: 'PgBouncer',
      command: 'pgbouncer',
      args: ['-q', join(directory, 'pgbouncer.ini')],
      logFile: join(bench.directory, 'pgbouncer-continuity.log'),
      env: { ...process.env, PATH: `${process.env.PATH}${delimiter}/usr/sbin` },
      cwd: directory,
      ...user,
    },
    bench.cleanup,
  )
  const address = { host: '127.0.0.1', port }
  const ask = async (database: string, text: string): Promise<void> => {
    const client = new pg.Client({ ...address, user: login.user, password: login.password ?? '', database })
    await client.connect()
    await client.query(text).finally(() => client.end())
  }
  await daemon.untilReady(() => ask(login.database, 'SELECT 1'), 20_000, bench.cleanup.signal)
  return { address, command: (text) => ask('pgbouncer', text) }
}
