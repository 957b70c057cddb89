import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { type StartedCluster, startTestCluster } from './cluster-start.ts'
import type { WireAddress } from './wire-client.ts'

/** Where a running test cluster is; goes by environment from `scripts/run-tests.ts` to every test file. */
export interface ClusterCoordinates {
  readonly primary: WireAddress
  readonly replicas: readonly WireAddress[]
  readonly superuser: Credentials
  /** PEM of the authority that signed the servers' certificates (`localhost`, 127.0.0.1). */
  readonly authority: string
}

export interface Credentials {
  readonly user: string
  readonly password: string
}

export interface RoleOptions {
  readonly password?: string
  /** As in CREATE ROLE: `REPLICATION`, `CONNECTION LIMIT 3`. */
  readonly attributes?: string
  readonly passwordEncryption?: 'scram-sha-256' | 'md5'
}

/** Name of the environment variable with the `ClusterCoordinates` as JSON. */
export const CLUSTER_VARIABLE = 'SWITCHYARD_TEST_CLUSTER'

/**
 * A real PostgreSQL cluster, shared by all test files of a run: each makes databases and roles of its own here, with
 * names nobody else has, and `close` drops them. Nothing of the cluster itself may be changed or stopped.
 */
export class TestCluster {
  readonly coordinates: ClusterCoordinates
  readonly #admin: pg.Client
  readonly #databases: string[] = []
  readonly #roles: string[] = []

  readonly #own: StartedCluster | null

  private constructor(coordinates: ClusterCoordinates, admin: pg.Client, own: StartedCluster | null) {
    this.coordinates = coordinates
    this.#admin = admin
    this.#own = own
  }

  /** The run's cluster; one of its own, which `close` stops, when a test file is run alone. */
  static async open(): Promise<TestCluster> {
    const given = process.env[CLUSTER_VARIABLE]
    if (given !== undefined) return await TestCluster.connect(JSON.parse(given) as ClusterCoordinates)
    return await TestCluster.start()
  }

  /** One of its own, for tests that kill or stop its servers, or look at its disk; `close` stops it. */
  static async start(replicas = 0, isOnDisk = false): Promise<TestCluster> {
    const started = await startTestCluster({ replicas, isOnDisk })
    return await TestCluster.connect(started.coordinates, started)
  }

  static async connect(coordinates: ClusterCoordinates, own: StartedCluster | null = null): Promise<TestCluster> {
    const admin = new pg.Client({ ...coordinates.primary, ...coordinates.superuser, database: 'postgres' })
    admin.on('error', () => {})
    await admin.connect()
    return new TestCluster(coordinates, admin, own)
  }

  get primary(): WireAddress {
    return this.coordinates.primary
  }

  get superuser(): Credentials {
    return this.coordinates.superuser
  }

  /** Process ids of the servers, the primary's first; only a cluster of one's own may be killed. */
  get postmasters(): readonly number[] {
    if (this.#own === null) throw new Error('the cluster is shared with other test files: start one of your own')
    return this.#own.cluster.shards.map((shard) => shard.pid)
  }

  /** Runs SQL as superuser in the database `postgres`. */
  async sql(text: string, values: readonly unknown[] = []): Promise<Record<string, unknown>[]> {
    return (await this.#admin.query(text, [...values])).rows
  }

  async createDatabase(owner?: string): Promise<string> {
    const name = uniqueName('db')
    await this.sql(`CREATE DATABASE ${name}${owner === undefined ? '' : ` OWNER ${owner}`}`)
    this.#databases.push(name)
    return name
  }

  /** A role that may log in. */
  async createRole(options: RoleOptions = {}): Promise<Credentials> {
    const user = uniqueName('user')
    const password = options.password ?? randomBytes(9).toString('base64url')
    await this.sql(`SET password_encryption = '${options.passwordEncryption ?? 'scram-sha-256'}'`)
    await this.sql(`CREATE ROLE ${user} LOGIN PASSWORD ${pg.escapeLiteral(password)} ${options.attributes ?? ''}`)
    this.#roles.push(user)
    return { user, password }
  }

  /** What the server stores for a role: the SCRAM verifier or the MD5 hash. */
  async storedPassword(user: string): Promise<string> {
    const [row] = await this.sql('SELECT rolpassword FROM pg_authid WHERE rolname = $1', [user])
    return String(row?.rolpassword)
  }

  /** Backends of a database, console and background ones not counted: `pid` and `usename`, `state`, `query`. */
  async backends(database: string): Promise<Record<string, unknown>[]> {
    return await this.sql(
      `SELECT pid, usename, application_name, state, query FROM pg_stat_activity
       WHERE datname = $1 AND backend_type IN ('client backend', 'walsender') AND pid <> pg_backend_pid()
         AND application_name <> 'switchyard catalogue'`,
      [database],
    )
  }

  /** Drops what was made here, or ends the whole cluster when it is our own. */
  async close(): Promise<void> {
    if (this.#own !== null) {
      await this.#admin.end()
      return await this.#own.stop()
    }
    for (const database of this.#databases) await this.sql(`DROP DATABASE IF EXISTS ${database} WITH (FORCE)`)
    for (const role of this.#roles) await this.sql(`DROP ROLE IF EXISTS ${role}`)
    await this.#admin.end()
  }
}

let made = 0

/** A lower-case SQL name that no other test file uses. */
export function uniqueName(kind: string): string {
  made += 1
  return `${kind}_${process.pid}_${made}_${randomBytes(3).toString('hex')}`
}
