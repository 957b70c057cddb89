import pg from 'pg'
import type { TestCluster } from '../support/postgres-cluster.ts'
import { openConsole } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'
import { type LoginOptions, type WireAddress, WireClient } from '../support/wire-client.ts'
import { LEFTOVERS, processesGone, processesOf, someoneSleeps } from './database-processes.ts'
import { MAKE_TIDY, PLAYGROUND } from './playground.ts'
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
  readonly #probes = new Map<RoleName, WireClient[]>()

  private constructor(host: LaneHost, console: pg.Client, direct: pg.Client, router: pg.Client) {
    this.#host = host
    this.#console = console
    this.#used = new UsedSessions(host.cluster.primary)
    this.direct = {
      address: host.cluster.primary,
      database: direct.database!,
      admin: direct,
      used: this.#used,
      settled: (left) => processesGone(direct, left),
      sleeping: () => someoneSleeps(direct),
    }
    this.router = {
      address: host.router,
      database: router.database!,
      admin: router,
      used: null,
      settled: (_, present) => this.#routerSettled(present),
      sleeping: () => someoneSleeps(router),
    }
  }

  static async open(host: LaneHost): Promise<Lane> {
    const admins = [await adminOf(host.cluster), await adminOf(host.cluster)] as const
    for (const admin of admins) {
      await admin.query(defaultsOf(admin.database!, host.roles.tenant))
      await admin.query(PLAYGROUND)
      await admin.query(MAKE_TIDY)
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
      const [row] = (await this.#show()).clients
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
    this.#closeProbes()
    await this.#console.query(`RECONNECT ${this.router.database}`)
    await this.router.admin.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE datname = current_database() AND pid <> pg_backend_pid()`,
    )
    const none = async (): Promise<boolean> => (await this.#show()).servers.length === 0
    await waitUntil('the router to notice that its server connections are gone', none, { everyMs: 1 })
  }

  /**
   * All clients have left the router. Resolves when it has let go of what they held, with what is still there of it. `sessions`:
   * how many server connections each role has. Rejects when it does not let go of it.
   */
  async leftovers(): Promise<{ readonly sessions: ReadonlyMap<string, number>; readonly objects: readonly string[] }> {
    const settled = async () => {
      const servers = await this.#atRest(0)
      const left = (await this.router.admin.query(LEFTOVERS)).rows
      mustBeKnown(
        left.flatMap(({ pid }) => (pid === null ? [] : [Number(pid)])),
        servers,
      )
      return { servers, objects: left.flatMap(({ object }) => (object === null ? [] : [String(object)])) }
    }
    const { servers, objects } = await waitUntil(SETTLED, settled, { everyMs: 4 })
    const sessions = new Map<string, number>()
    for (const { user, step } of servers) {
      if (step !== 'listening') sessions.set(String(user), (sessions.get(String(user)) ?? 0) + 1)
    }
    return { sessions, objects }
  }

  /**
   * So many clients of `role` that have logged in through the router and asked for nothing. They stay, and may be used again if
   * they are as they were. `isNew`: they have logged in just now.
   */
  async probes(role: RoleName, count: number, isNew: boolean): Promise<readonly WireClient[]> {
    const kept = this.#probes.get(role) ?? []
    this.#probes.set(role, kept)
    if (isNew) for (const client of kept.splice(0)) await client.goodbye()
    const login = this.login({ role, parameters: {} }, this.router)
    while (kept.length < count) kept.push(await WireClient.open(this.router.address, login))
    return kept.slice(0, count)
  }

  async close(): Promise<void> {
    this.#used.close()
    this.#closeProbes()
    await this.#console.end()
    await this.direct.admin.end()
    await this.router.admin.end()
  }

  #closeProbes(): void {
    for (const client of [...this.#probes.values()].flat()) client.close()
    this.#probes.clear()
  }

  async #show(): Promise<{ readonly clients: readonly Shown[]; readonly servers: readonly Shown[] }> {
    // One after the other: whoever has left must not be taken for somebody who is on a server connection still.
    const answers: unknown = await this.#console.query('SHOW CLIENTS; SHOW SERVERS')
    const [clients, servers] = (answers as pg.QueryResult<Shown>[]).map(({ rows }) =>
      rows.filter((row) => row.database === this.router.database),
    )
    return { clients: clients!, servers: servers! }
  }

  /** The server connections; throws unless no client but `present` is there, and none of them is being put in order. */
  async #atRest(present: number): Promise<readonly Shown[]> {
    const probes = [...this.#probes.values()].reduce((sum, { length }) => sum + length, 0)
    const { clients, servers } = await this.#show()
    if (clients.length !== present + probes || clients.some((row) => row.state === 'closing')) {
      throw new Error(
        `${present} clients and ${probes} probes are connected, and these known: ${show(clients, 'state', 'pinned')}`,
      )
    }
    if (servers.some((row) => !AT_REST.has(String(row.step)))) throw new Error(show(servers, 'step'))
    return servers
  }

  async #routerSettled(present: number): Promise<void> {
    const settled = async (): Promise<true> => {
      const servers = await this.#atRest(present)
      mustBeKnown(await processesOf(this.router.admin), servers)
      return true
    }
    await waitUntil(SETTLED, settled, { everyMs: 4 })
  }
}

/** A row of the console. */
type Shown = Readonly<Record<string, unknown>>

const SETTLED = 'the router to let go of what its clients held'

/** Server processes that the router has closed its connections to may hold something still. */
function mustBeKnown(processes: readonly number[], servers: readonly Shown[]): void {
  const known = servers.map((row) => Number(row.remote_pid))
  const stray = processes.filter((pid) => !known.includes(pid))
  if (stray.length > 0) throw new Error(`server processes ${stray} are none of the router's ${known}`)
}

/** What a session in this database has without asking for it. */
function defaultsOf(database: string, tenant: string): string {
  return `
    ALTER DATABASE ${database} SET lock_timeout = '11s';
    ALTER DATABASE ${database} SET IntervalStyle = 'sql_standard';
    ALTER ROLE ${tenant} IN DATABASE ${database} SET TimeZone = 'Asia/Tokyo';
    ALTER ROLE ${tenant} IN DATABASE ${database} SET app.tenant = 't2'`
}

function show(rows: readonly Shown[], ...columns: readonly string[]): string {
  return rows.map((row) => columns.map((column) => row[column]).join(' ')).join(', ')
}

async function adminOf(cluster: TestCluster): Promise<pg.Client> {
  const database = await cluster.createDatabase()
  const admin = new pg.Client({ ...cluster.primary, ...cluster.superuser, database })
  admin.on('error', () => {})
  await admin.connect()
  return admin
}
