import { join } from 'node:path'
import { makeAccountDirectory, writePrivateFile } from './account-files.ts'
import type { PostgresBinaries } from './choose-binaries.ts'
import { LocalClusterError, reasonOf, systemErrorCode } from './local-cluster-error.ts'
import { isPortFree, type PortBook } from './port-book.ts'
import { findPostmaster, type RunningServer, startPostmaster, stopPostmaster, waitUntilReady } from './postmaster.ts'
import { isAlive } from './process-table.ts'
import type { ServerAccount } from './server-account.ts'
import { type PrimaryAddress, withServer } from './server-client.ts'
import { logSize } from './server-log.ts'
import { renderSettings, settingsFileName } from './server-settings.ts'
import type { ShardDirectory } from './shard-directory.ts'

/** A shard of the embedded cluster that runs. */
export interface LaunchedShard extends RunningServer {
  readonly shard: ShardDirectory
  /** It ran already. */
  readonly adopted: boolean
  readonly address: PrimaryAddress
  /** As `SHOW server_version` says. */
  readonly version: string
}

const startAttempts = 3

/** Brings up servers of complete data directories: those that run are adopted, the others started. */
export class ShardLauncher {
  readonly #account: ServerAccount
  readonly #binaries: PostgresBinaries
  readonly #settings: Readonly<Record<string, string>>
  readonly #login: { readonly user: string; readonly password: string }
  readonly #ports: PortBook
  readonly #onProgress: (message: string) => void
  readonly #signal: AbortSignal | undefined
  readonly #started = new Set<ShardDirectory>()

  constructor(options: {
    account: ServerAccount
    binaries: PostgresBinaries
    settings: Readonly<Record<string, string>>
    login: { readonly user: string; readonly password: string }
    ports: PortBook
    onProgress: (message: string) => void
    signal: AbortSignal | undefined
  }) {
    this.#account = options.account
    this.#binaries = options.binaries
    this.#settings = options.settings
    this.#login = options.login
    this.#ports = options.ports
    this.#onProgress = options.onProgress
    this.#signal = options.signal
  }

  /**
   * The running server of a shard, once it takes queries; null when none runs. One that is shutting down is waited for.
   *
   * @throws LocalClusterError when it runs and does not answer, or is not the one it should be
   */
  async adopt(shard: ShardDirectory): Promise<LaunchedShard | null> {
    const found = await findPostmaster(shard, this.#account)
    if (found === null) return null
    if (found.status === 'stopping') {
      await stopPostmaster(shard, this.#account)
      return null
    }
    const logOffset = await logSize(shard.logFile)
    try {
      const server = await waitUntilReady(shard, found.pid, {
        logOffset,
        onProgress: this.#onProgress,
        signal: this.#signal,
      })
      const wanted = this.#ports.wanted(shard.name) ?? server.port
      if (wanted !== server.port) {
        this.#onProgress(`${shard.name} runs on port ${server.port} and keeps it; ${wanted} is for its next start.`)
      }
      return await this.#confirm(shard, server, true)
    } catch (error) {
      // It ended while we waited: then it can be started.
      if (!isAlive(found.pid)) return null
      throw error
    }
  }

  /**
   * Starts a shard that does not run.
   *
   * @throws LocalClusterError with the end of its log when it does not start
   */
  async start(shard: ShardDirectory): Promise<LaunchedShard> {
    await makeAccountDirectory(shard.log, this.#account)
    if (shard.sockets !== null) await makeAccountDirectory(shard.sockets, this.#account)
    const { name, sockets: socketDirectory } = shard
    const settings = renderSettings({ name, socketDirectory }, this.#settings)
    await writePrivateFile(join(shard.data, settingsFileName), settings, this.#account)
    for (let attempt = 1; ; attempt++) {
      const port = await this.#ports.portFor(name)
      try {
        const server = await startPostmaster(shard, {
          program: join(this.#binaries.directory, 'postgres'),
          port,
          account: this.#account,
          onProgress: this.#onProgress,
          signal: this.#signal,
        })
        this.#started.add(shard)
        return await this.#confirm(shard, server, false)
      } catch (error) {
        // Somebody may have taken the port between the test and the start.
        if (attempt === startAttempts || this.#started.has(shard) || (await isPortFree(port))) throw error
      }
    }
  }

  /** Stops what this launcher started, after a start that failed; adopted servers go on. */
  async stopStarted(): Promise<void> {
    await Promise.all([...this.#started].map((shard) => stopPostmaster(shard, this.#account)))
    this.#started.clear()
  }

  async #confirm(shard: ShardDirectory, server: RunningServer, adopted: boolean): Promise<LaunchedShard> {
    const address = { host: '127.0.0.1', port: server.port, ...this.#login }
    const what = `${shard.name} (process ${server.pid}, port ${server.port})`
    let answer: { directory: string; version: string } | undefined
    try {
      answer = await withServer(address, async (client) => {
        const result = await client.query<{ directory: string; version: string }>(
          `select current_setting('data_directory') as directory, current_setting('server_version') as version`,
        )
        return result.rows[0]
      })
    } catch (error) {
      const hint = systemErrorCode(error) === '28P01' ? ' The file "password" must hold the password it knows.' : ''
      throw new LocalClusterError(`${what} runs but cannot be used: ${reasonOf(error)}.${hint}`, { cause: error })
    }
    if (answer?.directory !== shard.data) {
      throw new LocalClusterError(`${what} answers for another directory, ${answer?.directory}, not for ${shard.data}.`)
    }
    this.#ports.note(shard.name, server.port)
    const version = answer.version.split(' ')[0] ?? answer.version
    const major = Number.parseInt(version, 10)
    return { ...server, shard, adopted, version, address: { ...address, major } }
  }
}
