import { chownSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { type LocalCluster, startLocalCluster } from '../../src/control/scaling/drivers/local/local-cluster.ts'
import type { LocalShard } from '../../src/control/scaling/drivers/local/local-shard.ts'
import { CertificateAuthority, type Credentials, writeCredentials } from './certificates.ts'
import { MEMORY_VARIABLE } from './memory-directory.ts'
import type { ClusterCoordinates } from './postgres-cluster.ts'
import type { WireAddress } from './wire-client.ts'

export interface StartedCluster {
  readonly coordinates: ClusterCoordinates
  readonly cluster: LocalCluster
  /** Ends the servers and removes their data. */
  stop(): Promise<void>
}

/** Durability is not what these tests are about, and fsync is most of the time they would take. */
const SETTINGS = {
  fsync: 'off',
  full_page_writes: 'off',
  max_connections: '300',
  max_prepared_transactions: '10',
}

/** A cluster for tests, in a directory of its own, with TLS by a certificate for `localhost` and 127.0.0.1. */
export async function startTestCluster(options: {
  readonly replicas: number
  /** As in production, for measurements. */
  readonly isDurable?: boolean
  /** For tests of what servers do to a disk; else it is in memory where the run has a directory there. */
  readonly isOnDisk?: boolean
}): Promise<StartedCluster> {
  const root = options.isDurable === true || options.isOnDisk === true ? undefined : process.env[MEMORY_VARIABLE]
  const directory = mkdtempSync(join(root ?? tmpdir(), 'switchyard-cluster-'))
  const authority = new CertificateAuthority('Switchyard test shards')
  const credentials = authority.issue({ commonName: 'localhost', names: ['localhost', '127.0.0.1'] })
  const progress: string[] = []
  try {
    const cluster = await startLocalCluster({
      directory,
      replicas: options.replicas,
      settings: options.isDurable === true ? { max_connections: '300' } : SETTINGS,
      environment: process.env,
      onProgress: (message) => progress.push(message),
    })
    await enableTls(cluster, credentials)
    return {
      cluster,
      coordinates: {
        primary: addressOf(cluster.shards[0]!),
        replicas: cluster.shards.slice(1).map(addressOf),
        superuser: { user: cluster.superuser, password: cluster.password },
        authority: authority.certificate,
      },
      stop: async () => {
        await cluster.stop()
        rmSync(directory, { recursive: true, force: true })
      },
    }
  } catch (error) {
    rmSync(directory, { recursive: true, force: true })
    throw new Error(`the test cluster did not start: ${progress.join(' ')}`, { cause: error })
  }
}

function addressOf(shard: LocalShard): WireAddress {
  return { host: shard.host, port: shard.port }
}

/** The files that `ssl = on` wants are in the data directory, which is there only after the start. */
async function enableTls(cluster: LocalCluster, credentials: Credentials): Promise<void> {
  for (const shard of cluster.shards) {
    const files = writeCredentials(shard.dataDirectory, 'server', credentials)
    const { uid, gid } = statSync(shard.dataDirectory)
    for (const file of [files.certificate, files.key]) chownSync(file, uid, gid)
    const client = new pg.Client({
      ...addressOf(shard),
      user: cluster.superuser,
      password: cluster.password,
      database: 'postgres',
    })
    await client.connect()
    await client.query('ALTER SYSTEM SET ssl = on')
    await client.query('SELECT pg_reload_conf()')
    await client.end()
  }
}
