import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { cpus, loadavg, release, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { Cleanup, until } from './cleanup.ts'
import { directPeer } from './direct-peer.ts'
import type { Peer, PeerName } from './peer.ts'
import { initialisePgbench, pgbenchVersion } from './pgbench.ts'
import { pgbouncerVersion, startPgbouncer } from './pgbouncer-peer.ts'
import { type PostgresServer, query, startPostgresServer } from './postgres-server.ts'
import { startRouter } from './router-peer.ts'

export interface BenchOptions {
  readonly peers: readonly PeerName[]
  readonly scale: number
  /** Directory whose `src/main.ts` is the router. */
  readonly checkout: string
  /** The same of the peer `before`; null: there is none. */
  readonly before: string | null
  /** Where the router's planes leave CPU profiles; null: they are not profiled. */
  readonly cpuProfileDirectory: string | null
}

/** What a benchmark runs in: a temporary directory, a PostgreSQL server with pgbench's tables, and the peers before it. */
export class Bench {
  readonly directory: string
  readonly server: PostgresServer
  /** For whatever else a benchmark starts. */
  readonly cleanup: Cleanup
  readonly #options: BenchOptions
  readonly #versions: Record<string, string | null>

  private constructor(
    directory: string,
    server: PostgresServer,
    cleanup: Cleanup,
    options: BenchOptions,
    versions: Record<string, string | null>,
  ) {
    this.directory = directory
    this.server = server
    this.cleanup = cleanup
    this.#options = options
    this.#versions = versions
  }

  /** Starts the server, fills it, hands the environment to `run`, and stops and removes everything whatever happens. */
  static async use<T>(options: BenchOptions, run: (bench: Bench) => Promise<T>): Promise<T> {
    const pgbench = await pgbenchVersion()
    const cleanup = new Cleanup()
    try {
      const directory = mkdtempSync(join(tmpdir(), 'switchyard-bench-'))
      cleanup.add(
        'the temporary directory',
        () => removeDirectory(directory),
        () => tryRemove(directory),
      )
      // PostgreSQL and PgBouncer may run as another user, who has to get through to directories of their own.
      chmodSync(directory, 0o711)
      const server = await startPostgresServer(directory, cleanup)
      await fill(server, options.scale, cleanup.signal)
      const versions = { pgbench, postgresql: server.version, node: process.versions.node }
      return await run(new Bench(directory, server, cleanup, options, versions))
    } catch (error) {
      // Whatever was being waited for has failed in its own words then; what happened is the signal.
      cleanup.signal.throwIfAborted()
      throw error
    } finally {
      await cleanup.stopAll()
    }
  }

  /** Aborted when the benchmark is interrupted. */
  get signal(): AbortSignal {
    return this.cleanup.signal
  }

  /** Versions of everything that has been started, and the machine: what figures are worth nothing without. */
  description(): Record<string, unknown> {
    return {
      versions: this.#versions,
      machine: {
        cores: cpus().length,
        cpu: cpus()[0]?.model ?? 'unknown',
        memory_gb: Math.round(totalmem() / 2 ** 30),
        kernel: release(),
        load_average: loadavg()[0],
      },
    }
  }

  /** Starts the chosen peers. PgBouncer is left out, with a word about it, where it is not installed. */
  async startPeers(maxClients: number): Promise<Peer[]> {
    const peers: Peer[] = []
    for (const name of this.#options.peers) {
      const peer = await this.startPeer(name, maxClients)
      if (peer !== null) peers.push(peer)
    }
    return peers
  }

  async startPeer(name: PeerName, maxClients: number): Promise<Peer | null> {
    const peer = await this.#start(name, maxClients)
    if (peer !== null && name !== 'direct') this.#versions[name] = peer.version
    return peer
  }

  async #start(name: PeerName, maxClients: number): Promise<Peer | null> {
    const common = { server: this.server, directory: this.directory, maxClients, cleanup: this.cleanup }
    if (name === 'direct') return directPeer(this.server)
    if (name === 'switchyard') return startRouter({ ...common, ...this.#options })
    const { before } = this.#options
    if (name === 'before')
      return before === null ? null : startRouter({ ...common, name, checkout: before, cpuProfileDirectory: null })
    const version = pgbouncerVersion()
    if (version !== null) return startPgbouncer({ ...common, version })
    console.error('pgbouncer not installed: apt-get install pgbouncer. Going on without it.')
    return null
  }
}

/** Again while somebody else, such as an initdb that has just been interrupted, takes files away from or puts them below it. */
async function removeDirectory(path: string): Promise<void> {
  await until(`removing ${path}`, () => tryRemove(path), { timeoutMs: 5000 })
}

function tryRemove(path: string): boolean {
  try {
    rmSync(path, { recursive: true, force: true })
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOTEMPTY')) throw error
  }
  return !existsSync(path)
}

async function fill(server: PostgresServer, scale: number, signal: AbortSignal): Promise<void> {
  await initialisePgbench(server.address, scale, signal)
  await query(server.address, 'create extension pg_prewarm')
  await query(
    server.address,
    `select sum(pg_prewarm(c.oid)) from pg_class c where relname like 'pgbench%' and relkind in ('r', 'i')`,
  )
  await query(server.address, 'checkpoint')
}
