import { ConfigError } from '../../../../errors.ts'
import { makeAccountDirectory } from './account-files.ts'
import { chooseBinaries } from './choose-binaries.ts'
import { shardsDirectory } from './cluster-home.ts'
import { clusterPassword } from './cluster-password.ts'
import { writeClusterState } from './cluster-state.ts'
import { createPrimary } from './create-primary.ts'
import { createReplica } from './create-replica.ts'
import { acquireDirectoryLock, type DirectoryLock } from './directory-lock.ts'
import { choosePrimary, inspectShards, removeUnfinished, setDataAside } from './inspect-shards.ts'
import { reasonOf } from './local-cluster-error.ts'
import type { LocalShard } from './local-shard.ts'
import { clusterOwner, makeClusterDirectory, type OpenedCluster, openCluster } from './open-cluster.ts'
import { PortBook } from './port-book.ts'
import { stopPostmaster } from './postmaster.ts'
import { ensureSlots, lostReplicas, pointAtPrimary, repointReplica, waitForStreaming } from './replication.ts'
import { checkSettings } from './server-settings.ts'
import { type ShardDirectory, shardDirectory, shardName } from './shard-directory.ts'
import { type LaunchedShard, ShardLauncher } from './shard-launcher.ts'

/** A cluster of local servers that runs. */
export interface LocalCluster {
  /** Where its shards are: the directory that was asked for, or another one that its servers can enter. */
  readonly home: string
  /** The primary first. */
  readonly shards: readonly LocalShard[]
  readonly superuser: string
  readonly password: string
  /** PostgreSQL's, of the primary: `18.4`. */
  readonly version: string
  /** There was no cluster before. */
  readonly created: boolean
  /** Stops all servers, adopted ones too (fast shutdown), and gives the directory free. May be called again. */
  stop(): Promise<void>
  /** Gives the directory free and lets the servers run, for the next start to adopt. */
  release(): Promise<void>
}

/** Where it lives, and what it has at least. */
export interface LocalClusterOptions {
  /** Everything lives below it: `shards/NAME/{data,log}`, `password`, `cluster.json`, `lock`. Made when missing. */
  readonly directory: string
  /** How many there are at least; a cluster that has more keeps them. */
  readonly replicas: number
  /** By shard, `shard-1` first. A shard without one gets a free port and keeps it. */
  readonly ports?: readonly number[]
  /** PostgreSQL settings beside the defaults, for shards that are started. */
  readonly settings?: Readonly<Record<string, string>>
  /** Directory with `postgres` and `initdb`. */
  readonly binDirectory?: string | null
  /** Gets one sentence of progress at a time, for people. */
  readonly onProgress: (message: string) => void
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly signal?: AbortSignal
}

const superuser = 'postgres'
const streamingTimeoutMs = 15_000

/**
 * Brings up a primary and its streaming replicas on this machine, from an empty directory or from what an earlier start
 * left there: running servers are adopted, stopped or killed ones started, unfinished ones made anew. The servers are
 * processes of their own and outlive this one.
 *
 * @throws ConfigError for options, files and rights that the operator must change
 * @throws LocalClusterError when another process manages the directory, or PostgreSQL does not do what it should
 * @throws the reason of `signal` when it is aborted. In every case servers that this call started are stopped again
 */
export async function startLocalCluster(options: LocalClusterOptions): Promise<LocalCluster> {
  checkOptions(options)
  const directory = await makeClusterDirectory(options.directory)
  const lock = await acquireDirectoryLock(directory, await clusterOwner(directory))
  try {
    return await launchCluster(await openCluster(directory, options.onProgress), options, lock)
  } catch (error) {
    await lock.release()
    options.signal?.throwIfAborted()
    throw error
  }
}

function checkOptions(options: LocalClusterOptions): void {
  if (!Number.isInteger(options.replicas) || options.replicas < 0 || options.replicas > 15) {
    throw new ConfigError(`The number of local replicas is ${options.replicas}: write a whole number from 0 to 15.`)
  }
  const ports = options.ports ?? []
  for (const port of ports) {
    if (!Number.isInteger(port) || port < 1 || port > 65_535) {
      throw new ConfigError(`${port} is not a port for a local shard: write a number from 1 to 65535.`)
    }
  }
  if (new Set(ports).size < ports.length) throw new ConfigError('Two local shards have the same port: choose others.')
  checkSettings(options.settings ?? {})
}

async function launchCluster(
  cluster: OpenedCluster,
  options: LocalClusterOptions,
  lock: DirectoryLock,
): Promise<LocalCluster> {
  const { account, owner, directory } = cluster
  const password = await clusterPassword(directory, cluster.shards.length > 0, owner)
  await writeClusterState(directory, cluster.remembered, owner)
  const binaries = await chooseBinaries({
    explicit: options.binDirectory ?? null,
    environment: options.environment,
    dataMajor: cluster.shards[0]?.major ?? null,
    account,
    cacheDirectory: cluster.home,
    onProgress: options.onProgress,
  })
  const wanted = new Map((options.ports ?? []).map((port, index) => [shardName(index + 1), port]))
  const ports = new PortBook(cluster.remembered.ports, wanted)
  const launcher = new ShardLauncher({
    account,
    binaries,
    settings: options.settings ?? {},
    login: { user: superuser, password },
    ports,
    onProgress: options.onProgress,
    signal: options.signal,
  })
  const launch = new ClusterLaunch(cluster, launcher, options)
  try {
    const primary = await launch.bringUpPrimary(() =>
      createPrimary(launch.shard(shardName(1)), { binaries, account, superuser, password, signal: options.signal }),
    )
    const replicas = await launch.bringUpReplicas(primary)
    await writeClusterState(directory, { ...cluster.remembered, ports: ports.ports }, owner)
    return localCluster(cluster, primary, replicas, password, lock)
  } catch (error) {
    await launcher.stopStarted()
    throw error
  }
}

/** One start of a cluster: decides which shard is what, and brings up the primary, then the replicas at once. */
class ClusterLaunch {
  readonly #cluster: OpenedCluster
  readonly #launcher: ShardLauncher
  readonly #options: LocalClusterOptions
  /** Shards whose data is a usable copy or the original. */
  readonly #existing: Set<string>

  constructor(cluster: OpenedCluster, launcher: ShardLauncher, options: LocalClusterOptions) {
    this.#cluster = cluster
    this.#launcher = launcher
    this.#options = options
    this.#existing = new Set(cluster.shards.map((facts) => facts.shard.name))
  }

  shard(name: string): ShardDirectory {
    return shardDirectory(shardsDirectory(this.#cluster.home), name)
  }

  async bringUpPrimary(create: () => Promise<void>): Promise<LaunchedShard> {
    const choice = choosePrimary(this.#cluster.shards)
    for (const { shard } of choice?.superseded ?? []) {
      await stopPostmaster(shard, this.#cluster.account)
      const place = await setDataAside(shard)
      this.#existing.delete(shard.name)
      this.#say(`${shard.name} was the primary before ${choice?.primary.shard.name}; its old data is now ${place}.`)
    }
    const shard = choice?.primary.shard ?? this.shard(shardName(1))
    if (choice === null) {
      this.#say(`Creating ${shard.name} in ${shard.data}.`)
      await this.#prepareRoot(shard)
      await create()
    }
    const launched = (await this.#launcher.adopt(shard)) ?? (await this.#launcher.start(shard))
    this.#announce(launched, 'primary')
    return launched
  }

  async bringUpReplicas(primary: LaunchedShard): Promise<LaunchedShard[]> {
    const names = new Set(this.#existing)
    for (let number = 1; number <= this.#options.replicas + 1; number++) names.add(shardName(number))
    names.delete(primary.shard.name)
    const replicas = [...names].sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
    if (replicas.length === 0) return []
    for (const name of await lostReplicas(primary.address, replicas)) {
      this.#say(`${name} was away for so long that its primary gave up keeping the log for it.`)
      await stopPostmaster(this.shard(name), this.#cluster.account)
      this.#existing.delete(name)
    }
    await ensureSlots(primary.address, replicas)
    const outcomes = await Promise.allSettled(replicas.map((name) => this.#bringUpReplica(this.shard(name), primary)))
    // All have come to their end by now: nobody starts anything once the caller cleans up.
    const launched = outcomes.map((outcome) => {
      if (outcome.status === 'rejected') throw outcome.reason
      return outcome.value
    })
    const { signal } = this.#options
    for (const name of await waitForStreaming(primary.address, replicas, { timeoutMs: streamingTimeoutMs, signal })) {
      this.#say(
        `${name} does not stream from ${primary.shard.name} yet; its log says why: ${this.shard(name).logFile}.`,
      )
    }
    return launched
  }

  async #bringUpReplica(shard: ShardDirectory, primary: LaunchedShard): Promise<LaunchedShard> {
    const launched = (await this.#resumeReplica(shard, primary)) ?? (await this.#cloneReplica(shard, primary))
    this.#announce(launched, 'replica')
    return launched
  }

  /** Null when there is no data, or none that PostgreSQL can start from: being a copy, it is made again. */
  async #resumeReplica(shard: ShardDirectory, primary: LaunchedShard): Promise<LaunchedShard | null> {
    if (!this.#existing.has(shard.name)) return null
    const running = await this.#launcher.adopt(shard)
    if (running !== null) {
      await repointReplica(running.address, shard.name, primary.address)
      return running
    }
    try {
      await pointAtPrimary(shard.data, shard.name, primary.address, this.#cluster.account)
      return await this.#launcher.start(shard)
    } catch (error) {
      this.#options.signal?.throwIfAborted()
      if (error instanceof ConfigError) throw error
      this.#say(`${reasonOf(error)}\n${shard.name} is a replica: it is cloned again.`)
      return null
    }
  }

  async #cloneReplica(shard: ShardDirectory, primary: LaunchedShard): Promise<LaunchedShard> {
    this.#say(`Cloning ${shard.name} from ${primary.shard.name}.`)
    await this.#prepareRoot(shard)
    const { account } = this.#cluster
    await createReplica(shard, { primary: primary.address, account, signal: this.#options.signal })
    return this.#launcher.start(shard)
  }

  async #prepareRoot(shard: ShardDirectory): Promise<void> {
    await makeAccountDirectory(shard.root, this.#cluster.account)
    await removeUnfinished(shard)
  }

  #announce(launched: LaunchedShard, role: 'primary' | 'replica'): void {
    const how = launched.adopted ? 'runs already' : 'is up'
    this.#say(`${launched.shard.name} (${role}) ${how}: 127.0.0.1:${launched.port}, process ${launched.pid}.`)
  }

  #say(message: string): void {
    this.#options.onProgress(message)
  }
}

function localCluster(
  cluster: OpenedCluster,
  primary: LaunchedShard,
  replicas: readonly LaunchedShard[],
  password: string,
  lock: DirectoryLock,
): LocalCluster {
  const describe = (launched: LaunchedShard, initialRole: 'primary' | 'replica'): LocalShard => ({
    name: launched.shard.name,
    host: '127.0.0.1',
    port: launched.port,
    dataDirectory: launched.shard.data,
    logFile: launched.shard.logFile,
    pid: launched.pid,
    adopted: launched.adopted,
    initialRole,
  })
  const launched = [primary, ...replicas]
  let stopping: Promise<void> | null = null
  const stopAll = async () => {
    // Whoever came later stops too.
    const present = await inspectShards(shardsDirectory(cluster.home))
    const shards = new Map([...launched, ...present].map(({ shard }) => [shard.name, shard]))
    const stops = await Promise.allSettled([...shards.values()].map((shard) => stopPostmaster(shard, cluster.account)))
    await lock.release()
    for (const stop of stops) if (stop.status === 'rejected') throw stop.reason
  }
  return {
    home: cluster.home,
    shards: [describe(primary, 'primary'), ...replicas.map((replica) => describe(replica, 'replica'))],
    superuser,
    password,
    version: primary.version,
    created: cluster.shards.length === 0,
    stop: () => {
      stopping ??= stopAll()
      return stopping
    },
    release: () => lock.release(),
  }
}
