import { resolve } from 'node:path'
import { buildConfig } from './load-config.ts'
import type { Config } from './schema.ts'

/** What the local cluster of `switchyard start` without a configuration file looks like. */
export interface LocalCluster {
  readonly shards: readonly { readonly name: string; readonly port: number; readonly dataDirectory?: string }[]
  readonly superuser: string
  readonly password: string
  readonly dataDirectory: string
  readonly port: number
  readonly httpPort: number
}

/** The local cluster's servers are started with max_connections = 200. */
const SHARD_CONNECTIONS = 180
const POOL_SIZE = 60
/** Roles that somebody makes in the cluster log in as they do at the shards. */
const ACCOUNTS = 'SELECT rolname, rolpassword FROM pg_authid WHERE rolname = $1 AND rolcanlogin'

/**
 * The configuration for a local cluster: one group, every database and role of it, the superuser as the only console user.
 * It is read like a file, so it can say nothing that a file could not.
 */
export function defaultLocalConfig(cluster: LocalCluster): Config {
  const { superuser, password } = cluster
  return buildConfig(
    {
      listen: { addresses: ['127.0.0.1'], port: cluster.port },
      http: { address: '127.0.0.1', port: cluster.httpPort },
      admin: { users: [superuser] },
      shards: cluster.shards.map(({ name, port, dataDirectory }) => {
        const shard = { name, port, host: '127.0.0.1', group: 'main', max_connections: SHARD_CONNECTIONS }
        return dataDirectory === undefined ? shard : { ...shard, data_directory: dataDirectory }
      }),
      failover: { mode: 'local' },
      // On somebody's own machine nothing is started unasked.
      scaling: { mode: 'advise' },
      // There is mostly one user, so the pool may have most of what the shard has.
      pool: { size: POOL_SIZE },
      databases: { '*': { group: 'main' } },
      monitor: { user: superuser, password },
      users: [{ name: superuser, password }],
      auth: { query: ACCOUNTS, query_user: superuser, query_password: password },
      server_tls: { mode: 'disable' },
      data: { directory: resolve(cluster.dataDirectory) },
    },
    { file: 'the built-in configuration', directory: resolve('.'), environment: {} },
  )
}
