import { randomBytes } from 'node:crypto'
import { type Credentials, TestCluster, uniqueName } from '../support/postgres-cluster.ts'
import { RouterProcess } from '../support/router-process.ts'
import { baseSettings, mergeSettings, type RouterSettings } from '../support/router-settings.ts'
import { Lane } from './lane.ts'
import { ROLES } from './playground.ts'
import type { RoleName } from './program.ts'

/** Server connections of each of the router's pools. */
export const POOL_SIZE = 3

/** How the router of an arena is set up. */
export interface ArenaOptions {
  /** `routing.begin`. */
  readonly begin?: 'at-once' | 'deferred'
  /** Between router and PostgreSQL. */
  readonly usesTls?: boolean
}

/** A cluster, a router before it, and lanes in which programs run side by side. Whoever opened it closes it. */
export class Arena {
  readonly lanes: readonly Lane[]
  readonly #process: RouterProcess
  readonly #cluster: TestCluster

  private constructor(cluster: TestCluster, process: RouterProcess, lanes: readonly Lane[]) {
    this.#cluster = cluster
    this.#process = process
    this.lanes = lanes
  }

  static async open(laneCount: number, options: ArenaOptions = {}): Promise<Arena> {
    const cluster = await TestCluster.open()
    try {
      const password = randomBytes(9).toString('base64url')
      const roles = { plain: uniqueName('plain'), super: uniqueName('super'), tenant: uniqueName('tenant') }
      await createRoles(cluster, roles, password)
      const users = Object.values(roles).map((user) => ({ user, password }))
      const process = await RouterProcess.start(settings(cluster, users, options))
      const host = { cluster, router: { host: process.host, port: process.port }, roles, password }
      const lanes: Lane[] = []
      for (let n = 0; n < laneCount; n += 1) lanes.push(await Lane.open(host))
      return new Arena(cluster, process, lanes)
    } catch (error) {
      await cluster.close()
      throw error
    }
  }

  /** The end of the router's log. */
  log(lines: number): string {
    return this.#process.tail(lines)
  }

  /** What the router's log has of errors of its own, whatever the answers were. */
  get faults(): string[] {
    return this.#process.log.filter((line) => /"level":"(error|fatal)"/.test(line))
  }

  async close(): Promise<void> {
    for (const lane of this.lanes) await lane.close()
    const exit = await this.#process.stop()
    await this.#cluster.close()
    if (exit.code !== 0) throw new Error(`the router ended with ${JSON.stringify(exit)}`)
  }
}

function settings(cluster: TestCluster, users: readonly Credentials[], options: ArenaOptions): RouterSettings {
  const base = baseSettings([{ name: 'one', ...cluster.primary }], cluster.superuser, users)
  return mergeSettings(base, {
    pool: { size: POOL_SIZE },
    routing: { begin: options.begin ?? 'at-once' },
    server_tls: { mode: options.usesTls === true ? 'require' : 'disable' },
    // Logins are not what this is about: the router asks for no password, and the shard's is cheap.
    auth: { hba: [{ type: 'host', address: '127.0.0.1', method: 'trust' }] },
    // Few, so that statements are evicted all the time.
    limits: { prepared_statements: 5, max_clients: 200 },
    timeouts: { query_wait: '10s' },
    log: { level: 'info', format: 'json' },
  })
}

async function createRoles(cluster: TestCluster, roles: Readonly<Record<RoleName, string>>, password: string) {
  const { plain, super: boss, tenant } = roles
  await cluster.sql('SET scram_iterations = 1')
  await cluster.sql(`CREATE ROLE ${plain} LOGIN PASSWORD '${password}'`)
  await cluster.sql(`CREATE ROLE ${boss} LOGIN SUPERUSER PASSWORD '${password}'`)
  await cluster.sql(`CREATE ROLE ${tenant} LOGIN PASSWORD '${password}'`)
  for (const role of ROLES) {
    await cluster.sql(`DO $$ BEGIN CREATE ROLE ${role}; EXCEPTION WHEN duplicate_object THEN NULL; END $$`)
    await cluster.sql(`GRANT ${role} TO ${plain}, ${boss}, ${tenant}`)
  }
  await cluster.sql(`ALTER ROLE ${tenant} SET work_mem = '6MB'`)
  await cluster.sql(`ALTER ROLE ${tenant} SET search_path = public, pg_catalog`)
  await cluster.sql(`ALTER ROLE ${tenant} SET role = 'fuzz_writer'`)
}
