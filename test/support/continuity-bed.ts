import { after, afterEach } from 'node:test'
import pg from 'pg'
import { LocalDriver } from '../../src/control/scaling/drivers/local/local-driver.ts'
import { type LocalServer, localServers } from '../../src/control/scaling/drivers/local/local-servers.ts'
import type { LocalShard } from '../../src/control/scaling/drivers/local/local-shard.ts'
import { serverProcesses } from '../../src/control/scaling/drivers/local/process-table.ts'
import { type StartedCluster, startTestCluster } from './cluster-start.ts'
import { FaultProxy } from './fault-proxy.ts'
import type { DirectSql } from './mixed-load.ts'
import { RouterProcess } from './router-process.ts'
import { baseSettings, mergeSettings, type RouterSettings } from './router-settings.ts'
import { openConsole } from './testbed.ts'
import { waitUntil } from './wait-until.ts'
import { type LoginOptions, WireClient } from './wire-client.ts'

/** What SHOW SHARDS says of one. */
export interface ShownShard {
  readonly name: string
  readonly role: string
  readonly up: boolean
  readonly reason: string
}

/** Servers listen on 127.0.0.1 only, so their ports are free here. */
const PROXY_HOST = '127.0.0.7'

/**
 * A primary and two replicas of the file's own, which may be stopped, killed and promoted, and a router that manages them.
 * Everything is torn down after the file's last test.
 */
export class ContinuityBed {
  readonly #started: StartedCluster
  readonly #proxies = new Map<string, FaultProxy>()
  #router: RouterProcess | null = null
  #settings: RouterSettings = {}
  #console: pg.Client | null = null
  #driver: LocalDriver | null = null

  private constructor(started: StartedCluster) {
    this.#started = started
  }

  /** Registers hooks with the file's tests: to be called once, at the top of the file. */
  static async open(changes: RouterSettings = {}, replicas = 2, shard: RouterSettings = {}): Promise<ContinuityBed> {
    const bed = await ContinuityBed.start(changes, { replicas, isDurable: false, shard })
    after(() => bed.close())
    afterEach((context) => {
      if (!('passed' in context && context.passed)) console.error(bed.router.tail(120))
    })
    return bed
  }

  /**
   * For others than tests: whoever starts it closes it. `isDurable`: servers that write to the disk before they answer.
   * `hasProxies`: whoever wants a shard, the other shards too, goes through its proxy, on the same port of another address.
   * `shard`: settings of each shard.
   */
  static async start(
    changes: RouterSettings,
    options: {
      readonly replicas: number
      readonly isDurable: boolean
      readonly hasProxies?: boolean
      readonly shard?: RouterSettings
    },
  ): Promise<ContinuityBed> {
    const bed = new ContinuityBed(await startTestCluster(options))
    try {
      if (options.hasProxies === true) {
        for (const { name, host, port } of bed.shards) {
          bed.#proxies.set(name, await FaultProxy.start({ host, port }, PROXY_HOST, port))
        }
      }
      await bed.#begin(changes, options.shard ?? {})
      return bed
    } catch (error) {
      await bed.close()
      throw error
    }
  }

  get router(): RouterProcess {
    if (this.#router === null) throw new Error('no router yet')
    return this.#router
  }

  /** Of its router. */
  get settings(): RouterSettings {
    return this.#settings
  }

  get console(): pg.Client {
    if (this.#console === null) throw new Error('no console yet')
    return this.#console
  }

  get login(): LoginOptions {
    const { user, password } = this.#started.coordinates.superuser
    return { user, password, database: 'postgres' }
  }

  get shards(): readonly LocalShard[] {
    return this.#started.cluster.shards
  }

  async #begin(changes: RouterSettings, shard: RouterSettings): Promise<void> {
    const { superuser } = this.#started.coordinates
    const shards = this.shards.map(({ name, host, port, dataDirectory }) => ({
      name,
      host: this.#proxies.get(name)?.host ?? host,
      port,
      data_directory: dataDirectory,
      max_connections: 80,
      ...shard,
    }))
    const settings = mergeSettings(baseSettings(shards, superuser, [superuser]), { shards, pool: { size: 40 } })
    this.#settings = mergeSettings(settings, changes)
    this.#router = await RouterProcess.start(this.#settings)
    this.#console = await openConsole(this.#router)
    await waitUntil('all shards to be up', async () => (await this.shown()).every(({ up }) => up))
  }

  async shown(): Promise<readonly ShownShard[]> {
    const { rows } = await this.console.query('SHOW SHARDS')
    return rows.map(({ name, role, up, reason }) => ({ name, role, reason, up: up === true || up === 't' }))
  }

  /** Name of the shard that the router takes for the primary. */
  async primary(): Promise<string> {
    const found = (await this.shown()).filter(({ role, up }) => role === 'primary' && up)
    if (found.length !== 1) throw new Error(`${found.length} primaries`)
    return found[0]!.name
  }

  /** A console command; its notices. */
  async command(text: string): Promise<readonly string[]> {
    const notices: string[] = []
    const hear = ({ message }: { message?: string | undefined }): void => {
      notices.push(message ?? '')
    }
    this.console.on('notice', hear)
    try {
      await this.console.query(text)
    } finally {
      this.console.off('notice', hear)
    }
    return notices
  }

  async open(parameters: Readonly<Record<string, string>> = {}): Promise<WireClient> {
    return await WireClient.open(this.router, { ...this.login, parameters })
  }

  /** What stands before this shard. */
  proxy(shard: string): FaultProxy {
    const proxy = this.#proxies.get(shard)
    if (proxy === undefined) throw new Error(`${shard} has no proxy`)
    return proxy
  }

  /** SQL on a server itself. */
  on(shard: string): DirectSql {
    const { host, port } = this.shards.find(({ name }) => name === shard) as LocalShard
    return async (text) => {
      const client = new pg.Client({ host, port, ...this.login })
      client.on('error', () => {})
      await client.connect()
      try {
        const result: unknown = await client.query(text)
        return Array.isArray(result) ? [] : (result as pg.QueryResult).rows
      } finally {
        await client.end()
      }
    }
  }

  /** Names of the shards that stream from this one. */
  async streaming(primary: string): Promise<readonly string[]> {
    const rows = await this.on(primary)(
      `SELECT application_name AS name FROM pg_stat_replication WHERE state = 'streaming' ORDER BY 1`,
    )
    return rows.map(({ name }) => String(name))
  }

  async pid(shard: string): Promise<number> {
    const [row] = await this.on(shard)(`SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)::int AS pid`)
    return Number(row?.pid)
  }

  /** Everything that runs on the data of a shard. */
  async processes(shard: string): Promise<readonly number[]> {
    const server = this.#servers.find(({ name }) => name === shard) as LocalServer
    return await serverProcesses(server.directory.data, server.account)
  }

  /** To do to servers what the router does not. */
  get driver(): LocalDriver {
    this.#driver ??= new LocalDriver({
      servers: this.#servers,
      login: this.#started.coordinates.superuser,
      environment: process.env,
      onProgress: () => {},
    })
    return this.#driver
  }

  get #servers(): readonly LocalServer[] {
    return localServers(this.shards)
  }

  async close(): Promise<void> {
    await this.#console?.end().catch(() => {})
    try {
      const exit = await this.#router?.stop()
      if (exit !== undefined && exit.code !== 0) throw new Error(`the router ended with ${JSON.stringify(exit)}`)
    } finally {
      for (const proxy of this.#proxies.values()) await proxy.close()
      await this.#started.stop()
    }
  }
}
