import { rename } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { ShardPlace } from '../../added-shard.ts'
import type { ScaleDriver, ScaleOrder } from '../scale-driver.ts'
import { makeAccountDirectory, readTextIfExists, removeTree, writePrivateFile } from './account-files.ts'
import { createReplica } from './create-replica.ts'
import { removeUnfinished } from './inspect-shards.ts'
import { LocalClusterError } from './local-cluster-error.ts'
import type { LocalServer } from './local-servers.ts'
import { PortBook } from './port-book.ts'
import { findPostmaster, startPostmaster, stopPostmaster } from './postmaster.ts'
import { dropSlot } from './replica-slot.ts'
import { ensureSlots, pointAtPrimary } from './replication.ts'
import { fittingBinaries, runningBinaries } from './server-binaries.ts'
import { type PrimaryAddress, withServer } from './server-client.ts'
import { passFileName, passFileText, replaceAutoSettings, settingsFileName } from './server-settings.ts'
import { type ShardDirectory, shardDirectory } from './shard-directory.ts'

/** Of what copies are made on this machine, and where they go. */
export interface LocalScaleOptions {
  /** The servers of this machine that are shards now. */
  readonly servers: readonly LocalServer[]
  /** A superuser of all of them. */
  readonly login: { readonly user: string; readonly password: string }
  /** Where data directories go; null: beside the primary's, when that is one of ours, else in `otherwise`. */
  readonly directory: string | null
  readonly otherwise: string
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly onProgress: (message: string) => void
}

/** Says that a directory was made here, and may be removed. */
const MARK = 'switchyard-added'

/** Replicas on this machine: copies of a primary that runs here, made over the replication protocol. */
export class LocalScaleDriver implements ScaleDriver {
  readonly kind = 'local'
  readonly #options: LocalScaleOptions

  constructor(options: LocalScaleOptions) {
    this.#options = options
  }

  /**
   * Rejects with LocalClusterError when the primary is not on this machine, cannot be copied, or the copy does not start. A
   * copy that was finished by an earlier attempt is used, one that was not is made anew.
   */
  async create(order: ScaleOrder, signal: AbortSignal): Promise<ShardPlace> {
    const source = this.#source(order)
    const shard = this.#directory(order, source)
    const { account } = source
    const running = await findPostmaster(shard, account)
    if (running?.status === 'ready') return this.#place(shard, running.port)
    if (running !== null) await stopPostmaster(shard, account)
    const primary = await this.#primary(source)
    await makeAccountDirectory(shard.root, account)
    await writePrivateFile(join(shard.root, MARK), `${order.operation}\n`, account)
    await ensureSlots(primary, [order.name])
    if ((await readTextIfExists(join(shard.data, 'PG_VERSION'))) === null) {
      this.#options.onProgress(`Copying ${source.name} into ${shard.data}.`)
      await removeUnfinished(shard)
      await createReplica(shard, { primary, account, signal })
    } else await pointAtPrimary(shard.data, order.name, primary, account)
    await this.#settle(shard, source, primary)
    await makeAccountDirectory(shard.log, account)
    if (shard.sockets !== null) await makeAccountDirectory(shard.sockets, account)
    const program = join(await this.#binaries(source), 'postgres')
    const port = await this.#port(order)
    const { onProgress } = this.#options
    const started = await startPostmaster(shard, { program, port, account, onProgress, signal })
    return this.#place(shard, started.port)
  }

  /** Only what `create` has made is removed. Rejects when the primary does not answer: its slot would keep log for ever. */
  async destroy(order: ScaleOrder): Promise<void> {
    const source = this.#servers(order)[0]
    if (source === undefined) {
      throw new LocalClusterError(`No server of the group ${order.group} has a data directory on this machine.`)
    }
    const shard = this.#directory(order, source)
    // In one step it is no shard's any more: the mark must not be gone while there are remains that it speaks for.
    const remains = `${shard.root}.removed`
    if ((await readTextIfExists(join(shard.root, MARK))) !== null) {
      await stopPostmaster(shard, source.account)
      await removeTree(remains)
      await rename(shard.root, remains)
    }
    await removeTree(remains)
    for (const server of this.#servers(order)) {
      const isPrimary = server.name === order.primary?.name
      try {
        await dropSlot({ ...server, ...this.#options.login }, order.name)
      } catch (error) {
        // Of the others, one that is away has lost nothing but the room of a few segments.
        if (isPrimary) throw error
      }
    }
    if (order.primary === null) throw new LocalClusterError(`Group ${order.group} has no primary that could be told.`)
  }

  /** Those of the group, but for the shard itself. */
  #servers({ name, members }: ScaleOrder): readonly LocalServer[] {
    return this.#options.servers.filter((server) => server.name !== name && members.includes(server.name))
  }

  #source(order: ScaleOrder): LocalServer {
    const source = this.#servers(order).find(({ name }) => name === order.primary?.name)
    if (source !== undefined) return source
    const primary = order.primary === null ? 'Its primary is not known' : `${order.primary.name} has none`
    throw new LocalClusterError(
      `The driver "local" copies a primary that has a data_directory on this machine. ${primary}: use scaling.driver = "exec".`,
    )
  }

  #directory({ name }: ScaleOrder, { name: source, directory }: LocalServer): ShardDirectory {
    const isOurs = basename(directory.data) === 'data' && basename(directory.root) === source
    const beside = isOurs ? dirname(directory.root) : this.#options.otherwise
    return shardDirectory(this.#options.directory ?? beside, name)
  }

  #place(shard: ShardDirectory, port: number): ShardPlace {
    return { host: '127.0.0.1', port, dataDirectory: shard.data }
  }

  /** What a copy may not have of its original: its name, its socket; and what it needs for itself. */
  async #settle(shard: ShardDirectory, { account }: LocalServer, primary: PrimaryAddress): Promise<void> {
    const path = join(shard.data, settingsFileName)
    const settings = await readTextIfExists(path)
    if (settings !== null) {
      const own = { cluster_name: shard.name, unix_socket_directories: shard.sockets ?? '' }
      await writePrivateFile(path, replaceAutoSettings(settings, own), account)
    }
    const passFile = join(shard.data, passFileName)
    if ((await readTextIfExists(passFile)) !== null) return
    await writePrivateFile(passFile, passFileText(primary.user, primary.password), account)
  }

  async #port({ name, place }: ScaleOrder): Promise<number> {
    const ports = this.#options.servers.map((server) => [server.name, server.port] as const)
    const known = place === null ? [] : [[name, place.port] as const]
    return await new PortBook(Object.fromEntries([...ports, ...known]), new Map()).portFor(name)
  }

  async #primary({ host, port }: LocalServer): Promise<PrimaryAddress> {
    const login = { host, port, ...this.#options.login }
    const { rows } = await withServer(login, (client) =>
      client.query<{ version: string }>(`select current_setting('server_version_num') as version`),
    )
    return { ...login, major: Math.floor(Number(rows[0]?.version ?? 0) / 10_000) }
  }

  /** The programs that the primary runs. */
  async #binaries(server: LocalServer): Promise<string> {
    return (await runningBinaries(server)) ?? fittingBinaries(server, this.#options)
  }
}
