import pg from 'pg'
import type { TestCluster } from '../support/postgres-cluster.ts'
import { openConsole } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'
import { type LoginOptions, type WireAddress, WireClient } from '../support/wire-client.ts'
import { LEFTOVERS } from './leak-probe.ts'
import { PLAYGROUND } from './playground.ts'
import type { RoleName, Startup } from './program.ts'
import { UsedSessions } from './used-sessions.ts'

/** Steps of a server connection at which nothing is on its way to change. */
const AT_REST = new Set(['idle', 'active', 'listening'])

/** Where programs run: PostgreSQL itself, or through the router. Each has a database of its own. */
export interface Target {
  readonly address: WireAddress
  readonly database: string
  /** Superuser in that database, directly. */
  readonly admin: pg.Client
  /** Sessions to be used again; null: each client gets a new one. */
  readonly used: UsedSessions | null
  /** Resolves when what clients that have left, with these process ids, held has been let go of; `present` are there. */
  settled(left: readonly number[], present: number): Promise<void>
  /** Resolves when somebody's `pg_sleep` has begun. */
  sleeping(): Promise<void>
}

/** What lanes share. */
export interface LaneHost {
  readonly cluster: TestCluster
  readonly router: WireAddress
  /** Names of the roles to log in as. */
  readonly roles: Readonly<Record<RoleName, string>>
  readonly password: string
}

/** Two databases in which one program after the other runs, directly and through the router. Its opener closes it. */
export class Lane {
  readonly direct: Target
  readonly router: Target
  readonly #used: UsedSessions
  readonly #host: LaneHost
  readonly #console: pg.Client

  private constructor(host: LaneHost, console: pg.Client, direct: pg.Client, router: pg.Client) {
    this.#host = host
    this.#console = console
    this.#used = new UsedSessions(host.cluster.primary)
    this.direct = {
      address: host.cluster.primary,
      database: direct.database!,
      admin: direct,
      used: this.#used,
      settled: (left) => backendsGone(direct, left),
      sleeping: () => someoneSleeps(direct),
    }
    this.router = {
      address: host.router,
      database: router.database!,
      admin: router,
      used: null,
      settled: async (_, present) => {
        await this.#routerSettled(present)
      },
      sleeping: () => someoneSleeps(router),
    }
  }

  static async open(host: LaneHost): Promise<Lane> {
    const admins = [await adminOf(host.cluster), await adminOf(host.cluster)] as const
    for (const admin of admins) {
      await admin.query(defaultsOf(admin.database!, host.roles.tenant))
      await admin.query(PLAYGROUND)
    }
    const lane = new Lane(host, await openConsole(host.router), ...admins)
    await lane.#known()
    return lane
  }

  /** Resolves when the router knows what triggers and views of its database do: until it has looked, it does not see that. */
  async #known(): Promise<void> {
    const login = this.login({ role: 'plain', parameters: {} }, this.router)
    const client = await WireClient.open(this.router.address, login)
    await waitUntil('the router to know its database', async () => {
      await client.query('BEGIN; INSERT INTO marked VALUES (0)')
      const [row] = await this.#show('CLIENTS')
      await client.query('ROLLBACK')
      return String(row?.pinned).includes('unknownFunction')
    })
    await client.goodbye()
  }

  /** What a client sends to log in to `target`. */
  login(startup: Startup, target: Target): LoginOptions {
    const { roles, password } = this.#host
    return { user: roles[startup.role], password, database: target.database, parameters: startup.parameters }
  }

  /** Gives the router new server connections: a program that left something on the old ones must not spoil the next. */
  async renew(): Promise<void> {
    await this.#console.query(`RECONNECT ${this.router.database}`)
    await this.router.admin.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE datname = current_database() AND pid <> pg_backend_pid()`,
    )
    const none = async (): Promise<boolean> => (await this.#show('SERVERS')).length === 0
    await waitUntil('the router to notice that its server connections are gone', none, { everyMs: 1 })
  }

  /** All clients have left the router. Resolves when it has let go of what they held, with what is still there of it. */
  async leftovers(): Promise<{ readonly sessions: ReadonlyMap<string, number>; readonly objects: readonly string[] }> {
    const sessions = new Map<string, number>()
    for (const { user, step } of await this.#routerSettled(0)) {
      if (step !== 'listening') sessions.set(String(user), (sessions.get(String(user)) ?? 0) + 1)
    }
    const { rows } = await this.router.admin.query(LEFTOVERS)
    return { sessions, objects: rows.map(({ what }) => String(what)) }
  }

  async close(): Promise<void> {
    this.#used.close()
    await this.#console.end()
    await this.direct.admin.end()
    await this.router.admin.end()
  }

  async #show(what: string): Promise<Record<string, unknown>[]> {
    const { rows } = await this.#console.query(`SHOW ${what}`)
    return rows.filter((row) => row.database === this.router.database)
  }

  /** Resolves with the server connections when no client but `present` is there, and none of them is being put in order. */
  async #routerSettled(present: number): Promise<Record<string, unknown>[]> {
    const settled = async (): Promise<Record<string, unknown>[]> => {
      const clients = await this.#show('CLIENTS')
      if (clients.length !== present || clients.some((row) => row.state === 'closing')) {
        throw new Error(`${present} clients are connected, and these known: ${show(clients, 'state', 'pinned')}`)
      }
      const servers = await this.#show('SERVERS')
      if (servers.some((row) => !AT_REST.has(String(row.step)))) throw new Error(show(servers, 'step'))
      const known = servers.map((row) => Number(row.remote_pid))
      const stray = (await backends(this.router.admin)).filter((pid) => !known.includes(pid))
      if (stray.length > 0) throw new Error(`server processes ${stray} are none of the router's ${known}`)
      return servers
    }
    return await waitUntil('the router to let go of what its clients held', settled, { everyMs: 2 })
  }
}

/** What a session in this database has without asking for it. */
function defaultsOf(database: string, tenant: string): string {
  return `
    ALTER DATABASE ${database} SET lock_timeout = '11s';
    ALTER DATABASE ${database} SET IntervalStyle = 'sql_standard';
    ALTER ROLE ${tenant} IN DATABASE ${database} SET TimeZone = 'Asia/Tokyo';
    ALTER ROLE ${tenant} IN DATABASE ${database} SET app.tenant = 't2'`
}

function show(rows: readonly Record<string, unknown>[], ...columns: readonly string[]): string {
  return rows.map((row) => columns.map((column) => row[column]).join(' ')).join(', ')
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

async function someoneSleeps(admin: pg.Client): Promise<void> {
  const sleepers = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'`
  const isAsleep = async (): Promise<boolean> => (await admin.query(sleepers)).rowCount === 1
  await waitUntil('a client to sleep', isAsleep, { everyMs: 1 })
}

async function backendsGone(admin: pg.Client, pids: readonly number[]): Promise<void> {
  if (pids.length === 0) return
  await waitUntil('server processes to end', async () => !(await backends(admin)).some((pid) => pids.includes(pid)), {
    everyMs: 1,
  })
}
