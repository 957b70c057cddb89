import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type Lsn, parseLsn } from '../../../../util/lsn.ts'
import type { Rejoining, ShardDriver, WalPosition } from '../shard-driver.ts'
import { makeAccountDirectory, readTextIfExists, writePrivateFile } from './account-files.ts'
import { shutdownCheckpoint } from './control-file.ts'
import { createReplica } from './create-replica.ts'
import { followNow, followWhenStarted } from './follow-primary.ts'
import { setDataAside } from './inspect-shards.ts'
import { LocalClusterError } from './local-cluster-error.ts'
import type { LocalServer } from './local-servers.ts'
import { findPostmaster, killServerProcesses, startPostmaster, stopPostmaster } from './postmaster.ts'
import { ensureSlots, lostReplicas, waitForStreaming, waitForTimeline } from './replication.ts'
import { fittingBinaries, runningBinaries } from './server-binaries.ts'
import { type PrimaryAddress, type ServerAddress, withServer } from './server-client.ts'
import { settingsFileName, slotName } from './server-settings.ts'

/** The servers of this machine that the driver stops, starts and promotes. */
export interface LocalDriverOptions {
  readonly servers: readonly LocalServer[]
  /** A superuser of all of them. */
  readonly login: { readonly user: string; readonly password: string }
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly onProgress: (message: string) => void
}

const POLL_MS = 2
const PROMOTION_MS = 60_000
/** An old primary that does not stream after this time has a history of its own. */
const REJOIN_MS = 4_000
/** What a server writes before it stops is of no more use when it is copied anew; what it has is kept as it is. */
const DISCARDED_STOP_MS = 2_000

/** Servers of this machine, by their data directories. They are processes of their own and outlive this one. */
export class LocalDriver implements ShardDriver {
  readonly kind = 'local'
  readonly #options: LocalDriverOptions
  readonly #servers: ReadonlyMap<string, LocalServer>
  /** Directory of the programs that a shard was last seen to run. */
  readonly #binaries = new Map<string, string>()
  /** Directory that it was told to use. */
  readonly #chosen = new Map<string, string>()

  constructor(options: LocalDriverOptions) {
    this.#options = options
    this.#servers = new Map(options.servers.map((server) => [server.name, server]))
  }

  manages(shard: string): boolean {
    return this.#servers.has(shard)
  }

  async checkpoint(shard: string): Promise<void> {
    await withServer(this.#login(shard), (client) => client.query('checkpoint'))
  }

  async stop(shard: string): Promise<void> {
    const server = this.#server(shard)
    await this.#noteBinaries(server)
    await stopPostmaster(server.directory, server.account)
  }

  use(shard: string, binDirectory: string | null): string | null {
    const before = this.#chosen.get(shard) ?? null
    if (binDirectory === null) this.#chosen.delete(shard)
    else this.#chosen.set(shard, binDirectory)
    return before
  }

  async start(shard: string): Promise<void> {
    const server = this.#server(shard)
    const { directory, account, port } = server
    const running = await findPostmaster(directory, account)
    if (running !== null && running.status !== 'stopping') return
    if (running !== null) await stopPostmaster(directory, account)
    const program = join(await this.#binariesOf(server), 'postgres')
    if (directory.log !== directory.data) await makeAccountDirectory(directory.log, account)
    await startPostmaster(directory, { program, port, account, onProgress: this.#options.onProgress })
  }

  async fence(shard: string): Promise<void> {
    const server = this.#server(shard)
    await this.#noteBinaries(server)
    await killServerProcesses(server.directory, server.account)
  }

  async position(shard: string): Promise<WalPosition> {
    const { rows } = await withServer(this.#login(shard), (client) =>
      client.query<{ recovery: boolean; received: string; replayed: string }>(
        `select r as recovery, (case when r then coalesce(greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()), '0/0')
           else pg_current_wal_flush_lsn() end)::text as received,
         (case when r then coalesce(pg_last_wal_replay_lsn(), '0/0') else pg_current_wal_flush_lsn() end)::text as replayed
         from pg_is_in_recovery() r`,
      ),
    )
    const [row] = rows
    if (row === undefined) throw new LocalClusterError(`${shard} did not say where its log stands.`)
    return { isInRecovery: row.recovery, received: parseLsn(row.received), replayed: parseLsn(row.replayed) }
  }

  async cleanEnd(shard: string): Promise<Lsn | null> {
    return shutdownCheckpoint(this.#server(shard).directory.data)
  }

  async synchronousStandbys(shard: string): Promise<string> {
    const { rows } = await withServer(this.#login(shard), (client) =>
      client.query<{ names: string }>(`select current_setting('synchronous_standby_names') as names`),
    )
    return rows[0]?.names ?? ''
  }

  async prepare(shard: string, others: readonly string[]): Promise<void> {
    await ensureSlots(this.#login(shard), others)
  }

  async promote(shard: string): Promise<void> {
    await withServer(this.#login(shard), async (client) => {
      await client.query('select pg_promote(false) where pg_is_in_recovery()')
      const deadline = performance.now() + PROMOTION_MS
      for (;;) {
        const { rows } = await client.query<{ recovery: boolean }>('select pg_is_in_recovery() as recovery')
        if (rows[0]?.recovery === false) return
        if (performance.now() > deadline) throw new LocalClusterError(`${shard} was not promoted within a minute.`)
        await delay(POLL_MS)
      }
    })
  }

  async follow(shard: string, primary: string): Promise<void> {
    const server = this.#server(shard)
    const address = await this.#primary(primary)
    if ((await findPostmaster(server.directory, server.account)) !== null) {
      await followNow(server, this.#login(shard), address)
      return
    }
    await followWhenStarted(server, address)
    await this.start(shard)
    await this.#dropSlots(shard)
  }

  async rejoin(shard: string, primary: string, wasTried: boolean): Promise<Rejoining> {
    const server = this.#server(shard)
    // A slot that was given up is good for nothing, and in the way of a new one, with which it may follow.
    const lost = await lostReplicas(this.#login(primary), [shard])
    await ensureSlots(this.#login(primary), [shard])
    if ((!wasTried || lost.length > 0) && (await this.#followsAsItIs(shard, primary))) return 'followed'
    await stopPostmaster(server.directory, server.account, DISCARDED_STOP_MS)
    const settingsFile = join(server.directory.data, settingsFileName)
    const settings = await readTextIfExists(settingsFile)
    const aside = await setDataAside(server.directory)
    this.#options.onProgress(
      `${shard} has a history of its own, which is kept in ${aside}; it is copied from ${primary}.`,
    )
    try {
      await createReplica(server.directory, { primary: await this.#primary(primary), account: server.account })
    } catch (error) {
      // The primary is lost as well, say: what there was is more than nothing, and may follow another one.
      await rename(aside, server.directory.data)
      await this.start(shard).catch(() => undefined)
      throw error
    }
    // The copy has the other one's.
    if (settings !== null) await writePrivateFile(settingsFile, settings, server.account)
    await this.start(shard)
    return 'cloned'
  }

  async #followsAsItIs(shard: string, primary: string): Promise<boolean> {
    try {
      await this.follow(shard, primary)
      return await this.streams(shard, primary, REJOIN_MS)
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      this.#options.onProgress(`${shard} cannot follow ${primary} as it is: ${reason}`)
      return false
    }
  }

  async streams(shard: string, primary: string, timeoutMs: number): Promise<boolean> {
    const began = performance.now()
    const missing = await waitForStreaming(this.#login(primary), [shard], { timeoutMs })
    if (missing.length > 0) return false
    return waitForTimeline(this.#login(primary), this.#login(shard), timeoutMs - (performance.now() - began))
  }

  /** What it kept log with while it was the primary would keep it for ever. */
  async #dropSlots(shard: string): Promise<void> {
    await withServer(this.#login(shard), (client) =>
      client.query(
        `select pg_drop_replication_slot(slot_name) from pg_replication_slots
         where slot_type = 'physical' and not active and slot_name = any($1)`,
        [[...this.#servers.keys()].map(slotName)],
      ),
    )
  }

  #server(shard: string): LocalServer {
    const server = this.#servers.get(shard)
    if (server === undefined) throw new LocalClusterError(`${shard} has no data directory on this machine.`)
    return server
  }

  #login(shard: string): ServerAddress {
    const { host, port } = this.#server(shard)
    return { host, port, ...this.#options.login }
  }

  async #primary(shard: string): Promise<PrimaryAddress> {
    const login = this.#login(shard)
    const { rows } = await withServer(login, (client) =>
      client.query<{ version: string }>(`select current_setting('server_version_num') as version`),
    )
    return { ...login, major: Math.floor(Number(rows[0]?.version ?? 0) / 10_000) }
  }

  async #noteBinaries(server: LocalServer): Promise<void> {
    if (this.#binaries.has(server.name)) return
    const binaries = await runningBinaries(server)
    // Else they are chosen when they are needed.
    if (binaries !== null) this.#binaries.set(server.name, binaries)
  }

  async #binariesOf(server: LocalServer): Promise<string> {
    const { name } = server
    const known = this.#chosen.get(name) ?? this.#binaries.get(name)
    if (known !== undefined) return known
    const binaries = await fittingBinaries(server, this.#options)
    this.#binaries.set(name, binaries)
    return binaries
  }
}
