import type { Environment } from '../config/environment.ts'
import { loadConfig } from '../config/load-config.ts'
import type { Config } from '../config/schema.ts'
import type { Logger } from '../log.ts'
import { LOCAL_REPLICAS, localConfig } from './local-settings.ts'
import type { AddedShards } from './scaling/added-shards.ts'
import { type LocalCluster, startLocalCluster } from './scaling/drivers/local/local-cluster.ts'

/** Where shards come from: a configuration, or the embedded cluster. */
export interface ShardSourceOptions {
  /** Null: the embedded cluster. */
  readonly configFile: string | null
  readonly dataDirectory: string
  readonly environment: Environment
  /** Gives up a start that is under way. */
  readonly signal: AbortSignal
  /** Shards that are not for the configuration to name: they come and go. */
  readonly added: AddedShards
  readonly log: Logger
}

/** Where the shards come from: a configuration file names them, or we run them ourselves. */
export interface ShardSource {
  /** Null when they are somebody else's. */
  readonly cluster: LocalCluster | null
  /** Reads the configuration, again. Throws ConfigError. */
  readonly readConfig: () => Config
  /** Stops our own servers, or leaves them for the next start to find. */
  end(keepShards: boolean): Promise<void>
}

/** Creates, starts or adopts the embedded cluster, if that is what is wanted. Rejects like `startLocalCluster`. */
export async function openShardSource(options: ShardSourceOptions): Promise<ShardSource> {
  const { configFile, dataDirectory, environment, signal, added, log } = options
  if (configFile !== null) {
    return { cluster: null, readConfig: () => loadConfig(configFile, environment), end: async () => {} }
  }
  const cluster = await startLocalCluster({
    directory: dataDirectory,
    environment,
    signal,
    replicas: LOCAL_REPLICAS,
    onProgress: (message) => log.info(message),
  })
  const members = cluster.shards.filter(({ name }) => added.get(name) === null)
  // A start may have given them other ports.
  for (const { name, host, port, dataDirectory } of cluster.shards) added.place(name, { host, port, dataDirectory })
  return {
    cluster,
    readConfig: () => localConfig(environment, { ...cluster, shards: members }),
    end: (keepShards) => (keepShards ? cluster.release() : cluster.stop()),
  }
}
