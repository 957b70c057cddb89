import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { TestCluster, uniqueName } from '../support/postgres-cluster.ts'
import { RouterProcess } from '../support/router-process.ts'
import { baseSettings, mergeSettings } from '../support/router-settings.ts'
import { openConsole } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'
import type { LoginOptions, WireAddress } from '../support/wire-client.ts'
import { PLAYGROUND, ROLES } from './playground.ts'
import type { Startup } from './program.ts'

/** Server connections of each of the router's pools. */
export const POOL_SIZE = 3

/** Where programs run: PostgreSQL itself, or through the router. Each has a database of its own. */
export interface Target {
  readonly name: 'direct' | 'router'
  readonly address: WireAddress
  readonly database: string
  /** Superuser in that database, directly. */
  readonly admin: pg.Client
  /** Resolves when what these clients, by process id, held has been let go of. */
  settled(left: readonly number[], present: number): Promise<void>
}

/** The two targets, and everything they need. Whoever opened it closes it. */
export class Arena {
  readonly direct: Target
  readonly router: Target
  readonly #process: RouterProcess
  readonly #console: pg.Client
  readonly #cluster: TestCluster
  readonly #password: string
  readonly #roles: readonly string[]

  private constructor(parts: Parts) {
    this.#cluster = parts.cluster
    this.#process = parts.process
    this.#console = parts.console
    this.#password = parts.password
    this.#roles = parts.roles
    const [direct, router] = parts.admins as [pg.Client, pg.Client]
    const { host, port } = parts.process
    this.direct = {
      name: 'direct',
      address: parts.cluster.primary,
      database: direct.database!,
      admin: direct,
      settled: (left) => backendsGone(direct, left),
    }
    this.router = {
      name: 'router',
      address: { host, port },
      database: router.database!,
      admin: router,
      settled: (_, present) => this.#routerSettled(present),
    }
  }

  static async open(): Promise<Arena> {
    const cluster = await TestCluster.open()
    try {
      const password = randomBytes(9).toString('base64url')
      const roles = [uniqueName('plain'), uniqueName('super')]
      await createRoles(cluster, roles as [string, string], password)
      const admins = [await adminOf(cluster), await adminOf(cluster)]
      for (const admin of admins) await admin.query(PLAYGROUND)
      const users = roles.map((user) => ({ user, password }))
      const process = await RouterProcess.start(settings(cluster, users))
      return new Arena({ cluster, process, console: await openConsole(process), password, roles, admins })
    } catch (error) {
      await cluster.close()
      throw error
    }
  }

  /** Name and password of the role that a startup means. */
  login(startup: Startup, target: Target): LoginOptions {
    const user = this.#roles[startup.role === 'plain' ? 0 : 1]!
    return { user, password: this.#password, database: target.database, parameters: startup.parameters }
  }

  /** Gives the router new server connections: a program that left something on the old ones must not spoil the next. */
  async renew(): Promise<void> {
    await this.#console.query('RECONNECT')
    await this.router.admin.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE datname = current_database() AND pid <> pg_backend_pid()`,
    )
    const none = async (): Promise<boolean> => (await this.#servers()).length === 0
    await waitUntil('the router to notice that its server connections are gone', none, { everyMs: 1 })
  }

  /** The end of the router's log. */
  log(lines: number): string {
    return this.#process.tail(lines)
  }

  async close(): Promise<void> {
    await this.#console.end()
    await this.direct.admin.end()
    await this.router.admin.end()
    const exit = await this.#process.stop()
    await this.#cluster.close()
    if (exit.code !== 0) throw new Error(`the router ended with ${JSON.stringify(exit)}`)
  }

  async #servers(): Promise<Record<string, unknown>[]> {
    const { rows } = await this.#console.query('SHOW SERVERS')
    return rows.filter((row) => row.addr !== 'console')
  }

  /** No client but `present` is there, and no server connection is being put in order or closed. */
  async #routerSettled(present: number): Promise<void> {
    await waitUntil(
      'the router to let go of what its clients held',
      async () => {
        const clients = (await this.#console.query('SHOW CLIENTS')).rows.filter((row) => row.database !== 'switchyard')
        if (clients.length !== present || clients.some((row) => row.state === 'closing')) return false
        const servers = await this.#servers()
        if (servers.some((row) => row.step !== 'idle' && row.step !== 'active')) return false
        const known = servers.map((row) => Number(row.remote_pid))
        const alive = await backends(this.router.admin)
        return alive.every((pid) => known.includes(pid))
      },
      { everyMs: 1 },
    )
  }
}

interface Parts {
  readonly cluster: TestCluster
  readonly process: RouterProcess
  readonly console: pg.Client
  readonly password: string
  readonly roles: readonly string[]
  readonly admins: readonly pg.Client[]
}

function settings(cluster: TestCluster, users: readonly { user: string; password: string }[]) {
  const base = baseSettings([{ name: 'one', ...cluster.primary }], cluster.superuser, users)
  return mergeSettings(base, {
    pool: { size: POOL_SIZE },
    // Logins are not what this is about: the router asks for no password, and the shard's is cheap.
    auth: { hba: [{ type: 'host', address: '127.0.0.1', method: 'trust' }] },
    // Few, so that statements are evicted all the time.
    limits: { prepared_statements: 5 },
    timeouts: { query_wait: '3s' },
    log: { level: 'info', format: 'json' },
  })
}

async function createRoles(cluster: TestCluster, [plain, boss]: readonly [string, string], password: string) {
  await cluster.sql('SET scram_iterations = 1')
  await cluster.sql(`CREATE ROLE ${plain} LOGIN PASSWORD '${password}'`)
  await cluster.sql(`CREATE ROLE ${boss} LOGIN SUPERUSER PASSWORD '${password}'`)
  for (const role of ROLES) {
    await cluster.sql(`DO $$ BEGIN CREATE ROLE ${role}; EXCEPTION WHEN duplicate_object THEN NULL; END $$`)
    await cluster.sql(`GRANT ${role} TO ${plain}, ${boss}`)
  }
}

async function adminOf(cluster: TestCluster): Promise<pg.Client> {
  const database = await cluster.createDatabase()
  const admin = new pg.Client({ ...cluster.primary, ...cluster.superuser, database })
  admin.on('error', () => {})
  await admin.connect()
  return admin
}

/** Process ids of the clients of the database that `admin` is connected to, without itself. */
async function backends(admin: pg.Client): Promise<number[]> {
  const { rows } = await admin.query(
    `SELECT pid FROM pg_stat_activity
     WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()`,
  )
  return rows.map((row) => Number(row.pid))
}

async function backendsGone(admin: pg.Client, pids: readonly number[]): Promise<void> {
  await waitUntil('server processes to end', async () => !(await backends(admin)).some((pid) => pids.includes(pid)), {
    everyMs: 1,
  })
}
