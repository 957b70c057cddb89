import { execFileSync } from 'node:child_process'
import { chownSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from 'pg'
import { Daemon, freePort } from './child.ts'
import type { Cleanup } from './cleanup.ts'
import { type Address, benchName } from './peer.ts'
import { serviceUser } from './service-user.ts'

/** Direct clients (256), PgBouncer's session pool (as many), two transaction pools, and room for ourselves. */
const settings = {
  max_connections: 700,
  shared_buffers: '512MB',
  max_wal_size: '4GB',
  checkpoint_timeout: '30min',
  synchronous_commit: 'off',
}

export interface PostgresServer {
  readonly version: string
  readonly address: Address
  stop(): Promise<void>
}

export async function startPostgresServer(directory: string, cleanup: Cleanup): Promise<PostgresServer> {
  const bin = '/usr/lib/postgresql/15/bin'
  const data = join(directory, 'postgres')
  mkdirSync(data, { mode: 0o700 })
  const user = serviceUser()
  if (user !== null) chownSync(data, user.uid, user.gid)
  execFileSync(join(bin, 'initdb'), ['-D', data, '-U', 'postgres', '-A', 'trust', '--no-sync', '--locale=C.UTF-8'], {
    stdio: 'ignore',
    cwd: directory,
    ...user,
  })
  const port = await freePort()
  const daemon = await Daemon.start(
    {
      name: 'PostgreSQL',
      command: join(bin, 'postgres'),
      args: [
        ...['-D', data, '-p', String(port), '-k', ''],
        ...Object.entries(settings).flatMap(([key, value]) => ['-c', `${key}=${value}`]),
      ],
      logFile: join(directory, 'postgres.log'),
      cwd: directory,
      stopSignal: 'SIGINT',
      ...user,
    },
    cleanup,
  )
  const admin = { host: '127.0.0.1', port, user: 'postgres', database: 'postgres', password: '' }
  await daemon.untilReady(async () => void (await query(admin, 'select 1')), 30_000, cleanup.signal)
  const address = { host: '127.0.0.1', port, user: benchName, database: benchName, password: 'correct-horse' }
  await query(admin, `create role ${benchName} login superuser password '${address.password}'`)
  await query(admin, `create database ${benchName} owner ${benchName}`)
  const version = await query(admin, 'show server_version')
  return { version: String(version).split(' ')[0] ?? '?', address, stop: () => daemon.stop() }
}

/** Runs one statement on a connection of its own; returns the first column of the first row. */
export async function query(address: Address, sql: string): Promise<unknown> {
  const client = new Client({ ...address, connectionTimeoutMillis: 5000 })
  client.on('error', () => {})
  try {
    await client.connect()
    const { rows } = await client.query({ text: sql, rowMode: 'array' })
    return rows[0]?.[0]
  } finally {
    await client.end()
  }
}
