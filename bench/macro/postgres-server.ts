import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { Client } from 'pg'
import { buildScramVerifier, formatScramVerifier, scramSaltBytes } from '../../src/auth/scram-verifier.ts'
import { startLocalCluster } from '../../src/control/scaling/drivers/local/local-cluster.ts'
import { type Cleanup, signalProcess } from './cleanup.ts'
import { type Address, benchName } from './peer.ts'

/** For a server that nothing but the proxies before it should make slow, and that disturbs no run half-way. */
const settings = {
  // Direct clients, as many of PgBouncer's session pool (256 each by default), two transaction pools, and room for ourselves.
  max_connections: '700',
  // The tables of scale 20 (300 MB) fit.
  shared_buffers: '512MB',
  // No run waits for a disk. Commits stay atomic and consistent, and fsync stays on.
  synchronous_commit: 'off',
  max_wal_size: '4GB',
  checkpoint_timeout: '30min',
}

/**
 * Rounds of PBKDF2 for a login: PostgreSQL's 4096 cost pgbench and the server milliseconds for each of its clients, and logging in is
 * not measured. The proxies check the proof with the verifier, which takes no rounds at all.
 */
const scramIterations = 64

export interface PostgresServer {
  readonly version: string
  /** The role's verifier, as PostgreSQL stores it: what both proxies check logins against. */
  readonly verifier: string
  /** Of the role and database `bench`. */
  readonly address: Address
  readonly dataDirectory: string
}

/**
 * A PostgreSQL server of its own below `directory`: the embedded one, or that of SWITCHYARD_PG_BIN. SCRAM over loopback TCP. Stopped
 * by `cleanup`.
 */
export async function startPostgresServer(directory: string, cleanup: Cleanup): Promise<PostgresServer> {
  const cluster = await startLocalCluster({
    directory: join(directory, 'postgres'),
    replicas: 0,
    settings,
    onProgress: (message) => console.error(message),
    environment: process.env,
    signal: cleanup.signal,
  })
  const [shard] = cluster.shards
  if (shard === undefined) throw new Error('the local cluster has no server')
  // SIGQUIT: immediate shutdown, which needs nobody to wait for it.
  const kill = (): void => void signalProcess(shard.pid, 'SIGQUIT')
  cleanup.add('PostgreSQL', () => cluster.stop(), kill)
  const { host, port } = shard
  const superuser = { host, port, user: cluster.superuser, database: 'postgres', password: cluster.password }
  const address = { host, port, user: benchName, database: benchName, password: 'correct-horse' }
  const verifier = formatScramVerifier(
    buildScramVerifier(address.password, randomBytes(scramSaltBytes), scramIterations),
  )
  await query(superuser, `create role ${benchName} login superuser password '${verifier}'`)
  await query(superuser, `create database ${benchName} owner ${benchName}`)
  return { version: cluster.version, verifier, address, dataDirectory: shard.dataDirectory }
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
