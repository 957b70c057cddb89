import { after, afterEach } from 'node:test'
import pg from 'pg'
import { LeakCheck } from './leak-check.ts'
import { type Credentials, TestCluster } from './postgres-cluster.ts'
import { type RouterOptions, RouterProcess } from './router-process.ts'
import { baseSettings, CONSOLE_PASSWORD, CONSOLE_USER, mergeSettings, type RouterSettings } from './router-settings.ts'
import { type LoginOptions, type WireAddress, WireClient } from './wire-client.ts'

/** Set to `postgres`, the tests talk to PostgreSQL itself: what they expect of the router must be true of it too. */
export const TARGET_VARIABLE = 'SWITCHYARD_TEST_TARGET'

export const isDirect = process.env[TARGET_VARIABLE] === 'postgres'

export interface TestbedOptions {
  /** Over the base settings; a function gets the testbed to put names of its database and role in. */
  readonly settings?: RouterSettings | ((bed: Testbed) => RouterSettings | Promise<RouterSettings>)
  /** Stand the router before these instead of the cluster's primary. */
  readonly shard?: WireAddress | ((cluster: TestCluster) => Promise<WireAddress>)
  readonly router?: RouterOptions
  /** A cluster of the file's own, with so many replicas, for tests that stop its servers. */
  readonly replicas?: number
  /** The same, without replicas, for tests of what its servers do to a disk. */
  readonly isOnDisk?: true
  /** What the file tests is not in PostgreSQL, so it makes no sense against one. */
  readonly routerOnly?: true
  /** False: tests that break the router on purpose, or stop it. */
  readonly leakCheck?: boolean
  /** False: the file starts its routers itself, with `bed.startRouter`. */
  readonly start?: boolean
}

/**
 * What a test file needs: a database and a role of its own on the cluster, a router before it, clients that are closed
 * after each test, and a leak check behind each test. Everything is torn down after the file's last test.
 */
export class Testbed {
  readonly cluster: TestCluster
  readonly database: string
  readonly role: Credentials
  #router: RouterProcess | null = null
  #shard: WireAddress
  #console: pg.Client | null = null
  #leaks: LeakCheck | null = null
  readonly #closers: (() => unknown)[] = []
  readonly #endings: (() => unknown)[] = []
  /** Routers that the present test started itself. */
  readonly #extra: RouterProcess[] = []

  private constructor(cluster: TestCluster, database: string, role: Credentials) {
    this.cluster = cluster
    this.database = database
    this.role = role
    this.#shard = cluster.primary
  }

  /** Registers hooks with the file's tests: to be called once, at the top of the file. */
  static async open(options: TestbedOptions = {}): Promise<Testbed> {
    const { replicas, isOnDisk } = options
    const isShared = replicas === undefined && isOnDisk === undefined
    const cluster = await (isShared ? TestCluster.open() : TestCluster.start(replicas, isOnDisk))
    try {
      const role = await cluster.createRole()
      const bed = new Testbed(cluster, await cluster.createDatabase(role.user), role)
      if (options.start !== false) await bed.#begin(options)
      bed.#watchTests()
      return bed
    } catch (error) {
      // The file fails before its first test, so that no hook of it would run.
      await cluster.close()
      throw error
    }
  }

  #watchTests(): void {
    after(() => this.#tearDown())
    afterEach(async (test) => {
      const passed = 'passed' in test && test.passed
      if (!passed) this.#printLogs(test.name)
      await this.#closeClients()
      if (passed) await this.#leaks?.check()
    })
  }

  /** Where the tests' clients connect: the router, or PostgreSQL itself. */
  get address(): WireAddress {
    const { host, port } = isDirect ? this.cluster.primary : this.router
    return { host, port }
  }

  get isDirect(): boolean {
    return isDirect
  }

  /** What the router takes for the primary shard. */
  get shard(): WireAddress {
    return this.#shard
  }

  get router(): RouterProcess {
    if (this.#router === null) throw new Error('this test needs a router, and it was not started')
    return this.#router
  }

  /** The admin console, open for the whole file. */
  get console(): pg.Client {
    if (this.#console === null) throw new Error('this test needs the console of a running router')
    return this.#console
  }

  get login(): LoginOptions {
    return { ...this.role, database: this.database }
  }

  /** Settings of a router before `shard` that knows this file's role, and these. */
  settings(changes: RouterSettings = {}, roles: readonly Credentials[] = []): RouterSettings {
    const { superuser } = this.cluster
    const { host, port } = this.#shard
    const base = baseSettings([{ name: 'one', host, port }], superuser, [this.role, ...roles])
    return mergeSettings(base, changes)
  }

  /** A further router, stopped after the test; it must end in good order. */
  async startRouter(changes: RouterSettings = {}, options: RouterOptions = {}): Promise<RouterProcess> {
    const router = await RouterProcess.start(this.settings(changes), options)
    this.#extra.push(router)
    return this.onClose(router, async () => {
      const exit = await router.stop()
      if (exit.code !== 0) throw new Error(`a router ended with ${JSON.stringify(exit)}:\n${router.tail(60)}`)
    })
  }

  /** A logged-in wire client, closed after the test. */
  async open(login: Partial<LoginOptions> = {}): Promise<WireClient> {
    return this.onClose(await WireClient.open(this.address, { ...this.login, ...login }), (client) => client.close())
  }

  async openMany(count: number, login: Partial<LoginOptions> = {}): Promise<WireClient[]> {
    return await Promise.all(Array.from({ length: count }, () => this.open(login)))
  }

  /** A connection that has said nothing yet, closed after the test. */
  async dial(address: WireAddress = this.address): Promise<WireClient> {
    return this.onClose(await WireClient.connect(address), (client) => client.close())
  }

  /** A node-postgres client to the target, closed after the test. */
  async connectPg(options: pg.ClientConfig = {}): Promise<pg.Client> {
    const client = new pg.Client({ ...this.address, ...this.role, database: this.database, ...options })
    client.on('error', () => {})
    await client.connect()
    return this.onClose(client, () => client.end().catch(() => {}))
  }

  /** A node-postgres pool to the target, larger than a router's pools in the tests; ended after the test. */
  openPool(options: pg.PoolConfig = {}): pg.Pool {
    const pool = new pg.Pool({ ...this.address, ...this.role, database: this.database, max: 20, ...options })
    pool.on('error', () => {})
    return this.onClose(pool, () => pool.end())
  }

  /** SQL as superuser on the primary itself, in this file's database. */
  async sql(text: string, values: readonly unknown[] = []): Promise<Record<string, unknown>[]> {
    const client = new pg.Client({ ...this.cluster.primary, ...this.cluster.superuser, database: this.database })
    await client.connect()
    try {
      return (await client.query(text, [...values])).rows
    } finally {
      await client.end()
    }
  }

  /** Rows of a console command. */
  async show(command: string): Promise<Record<string, unknown>[]> {
    return (await this.console.query(`SHOW ${command}`)).rows
  }

  /** SHOW SERVERS without the console's link to the control process. */
  async servers(): Promise<Record<string, unknown>[]> {
    return (await this.show('SERVERS')).filter((server) => server.addr !== 'console')
  }

  /** Numbers of SHOW POOLS, summed over all users and shards of a database. */
  async pool(database: string = this.database): Promise<Record<string, number>> {
    const sums: Record<string, number> = {}
    for (const row of await this.show('POOLS')) {
      if (row.database !== database) continue
      for (const [name, value] of Object.entries(row)) {
        if (typeof value === 'number') sums[name] = (sums[name] ?? 0) + value
      }
    }
    return sums
  }

  /** Has `close` called with `value` after the test, last opened first. */
  onClose<T>(value: T, close: (value: T) => unknown): T {
    this.#closers.push(() => close(value))
    return value
  }

  /** Has `work` done after the file's last test, while the cluster is still there. */
  onEnd(work: () => unknown): void {
    this.#endings.push(work)
  }

  async #begin(options: TestbedOptions): Promise<void> {
    const { shard } = options
    if (shard !== undefined) this.#shard = typeof shard === 'function' ? await shard(this.cluster) : shard
    if (isDirect) return
    const changes = typeof options.settings === 'function' ? await options.settings(this) : options.settings
    this.#router = await RouterProcess.start(this.settings(changes), options.router)
    try {
      this.#console = await openConsole(this.#router)
      if (options.leakCheck === false) return
      this.#leaks = new LeakCheck(this.#router, this.#console)
      await this.#leaks.start()
    } catch (error) {
      await this.#console?.end().catch(() => {})
      await this.#router.kill()
      throw error
    }
  }

  #printLogs(test: string): void {
    for (const router of this.#extra.length > 0 ? this.#extra : [this.#router]) {
      if (router !== null) console.error(`end of the router's log in "${test}":\n${router.tail(60)}\n`)
    }
  }

  async #closeClients(): Promise<void> {
    this.#extra.length = 0
    for (const close of this.#closers.splice(0).reverse()) await close()
  }

  async #tearDown(): Promise<void> {
    await this.#closeClients()
    await this.#console?.end().catch(() => {})
    try {
      const exit = await this.#router?.stop()
      if (exit === undefined || exit.code === 0) return
      throw new Error(`the router ended with ${JSON.stringify(exit)}:\n${this.router.tail(60)}`)
    } finally {
      for (const work of this.#endings) await work()
      await this.cluster.close()
    }
  }
}

/** A console session; the caller ends it. */
export async function openConsole(router: WireAddress): Promise<pg.Client> {
  const { host, port } = router
  const client = new pg.Client({ host, port, user: CONSOLE_USER, password: CONSOLE_PASSWORD, database: 'switchyard' })
  client.on('error', () => {})
  await client.connect()
  return client
}
