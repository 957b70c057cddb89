import { PIN } from '../memory/client-slots.ts'
import { STATUS } from '../protocol/message-type.ts'
import { type ErrorFields, writeBackendKeyData, writeParameterStatus, writeReady } from '../protocol/messages.ts'
import { MessageWriter } from '../protocol/writer.ts'
import { DedicatedServer } from '../server/dedicated-server.ts'
import type { PoolWelcome } from '../server/pool-key.ts'
import type { PoolWaiter } from '../server/pool-waiter.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import type { ServerPool } from '../server/server-pool.ts'
import type { ServerCredential } from '../server/server-target.ts'
import { isSettable, type ParameterSet } from '../session/parameters.ts'
import { tierCode } from '../shard/tier.ts'
import { ruleFor } from '../shard/tier-rule.ts'
import type { Fifo, FifoNode } from '../util/fifo.ts'
import { type ClientHost, FATAL } from './client-host.ts'
import type { ClientSession } from './client-session.ts'
import { ConsoleEntry } from './console-entry.ts'
import type { PoolChoice } from './pool-choice.ts'
import { beginSession, countIn } from './session-start.ts'
import { settingsSql } from './settings-sql.ts'
import type { StartupRequest } from './startup.ts'

const NO_CREDENTIAL: ServerCredential = { scram: null, password: null, md5Hash: null }
/** Cancel keys are as long as the protocol allows: 4 bytes in 3.0, and in 3.2 what PostgreSQL 18 uses. */
const KEY_BYTES = { old: 4, new: 32 } as const
/** Combinations of startup settings that are remembered as accepted. */
const REMEMBERED_SETTINGS = 1000
const writer = new MessageWriter()

/**
 * From "authenticated" to the client's first ReadyForQuery: is there room, is there such a database, what does a session
 * there find, and does a server accept the settings of the startup packet.
 */
export class Welcome implements PoolWaiter {
  readonly #host: ClientHost
  readonly #session: ClientSession
  readonly #request: StartupRequest
  readonly #credential: ServerCredential
  #choice: PoolChoice | null = null
  /** What must be true of settings that a server is asked about. */
  #asked: PoolWelcome | null = null
  #dedicated: ConsoleEntry | DedicatedServer | null = null
  /** The pool it waited in last. */
  #awaited: ServerPool | null = null
  fifo: Fifo<FifoNode> | null = null
  fifoNext: FifoNode | null = null
  fifoPrevious: FifoNode | null = null
  waitsAs = -1
  waitingSince = 0

  constructor(host: ClientHost, session: ClientSession, request: StartupRequest, credential: ServerCredential) {
    this.#host = host
    this.#session = session
    this.#request = request
    this.#credential = credential
  }

  /** Its rule is looked for when it is through. */
  get claim(): number {
    return this.#session.memory.tier
  }

  /** Why its pool has no server connection for it, if that is known. */
  get poolFailure(): ErrorFields | null {
    return this.#awaited?.lastFailure ?? null
  }

  begin(): void {
    const { database } = this.#request
    if (this.#host.values.consoleDatabases.includes(database)) this.#console()
    else if (this.#choice !== null || this.#admit()) this.#seekPool()
  }

  requeue(): void {
    this.begin()
  }

  /** A login waits for its own pool. */
  reroute(): void {}

  onPoolFailed(fields: ErrorFields): void {
    this.#session.close(fields.message, { ...fields, severity: 'FATAL' })
  }

  /** The session is over: nobody may call back. */
  abandon(): void {
    if (this.waitsAs >= 0) this.#awaited?.leave(this)
    else if (this.fifo !== null) this.fifo.remove(this)
    this.#dedicated?.abandon()
  }

  onServer(server: ServerConnection): void {
    const session = this.#session
    this.#session.seat.adopt(server)
    if (this.#choice === null) {
      // A connection of its own: ready as it is.
      this.#greet(server.identity.reported, server.baseline)
      beginSession(session, null, server.baseline)
      return
    }
    // What is called unseen there has to be known, at best before the first statement.
    this.#host.catalogues.attend(server.target, this.#host.now)
    const welcome = { reported: server.identity.reported, baseline: server.baseline }
    if (this.#request.settings.size === 0) {
      this.#done(welcome, server.baseline)
      return
    }
    this.#asked = welcome
    const { parameters } = this.#host
    const wanted = parameters.merge(server.baseline, this.#request.settings)
    this.#host.toServer.begin(server.link)
    // On a fresh connection, because a value may build on the one before: DateStyle keeps the order of day and month.
    const fresh = settingsSql(parameters, server, server.baseline, session.serial)
    const sql = parameters.difference(server.baseline, wanted, server.identity.dialect)
    server.relay.questions.prepare([fresh, sql].filter(Boolean).join(';') || 'SELECT', this.#host.toServer)
    // The server reports how it spells what it reports, if that is news; what it does not is taken from the client.
    server.parameters = parameters.change(server.parameters, unreported(server, wanted))
    if (!this.#host.toServer.flush()) server.lose(server.link.failure, null)
  }

  /** The server has answered the settings. */
  onPrepared(failure: ErrorFields | null): void {
    const { server } = this.#session.seat
    const welcome = this.#asked
    if (server === null || welcome === null) return
    if (failure !== null) {
      // The server connection is as good as before: it is the client's settings that are wrong.
      this.#session.seat.giveUp(false)
      this.#session.close(failure.message, { ...failure, severity: 'FATAL' })
      return
    }
    // Reported settings as the server spells them, the others as the client did.
    const { parameters } = server
    const { acceptedSettings } = this.#host
    if (acceptedSettings.size >= REMEMBERED_SETTINGS) acceptedSettings.clear()
    acceptedSettings.set(this.#settingsKey(welcome), parameters)
    this.#done(welcome, parameters)
  }

  #admit(): boolean {
    const { user, database, replication } = this.#request
    const entry = this.#host.database(database)
    if (entry === null) {
      this.#session.close('no such database', FATAL('3D000', `database "${database}" does not exist`))
      return false
    }
    const userValue = this.#host.accounts.get(user)
    const { limits } = this.#host.values
    const room =
      this.#fits('user', user, userValue?.maxClients ?? limits.maxClientsPerUser) &&
      this.#fits('database', database, entry.maxClients ?? limits.maxClientsPerDatabase)
    if (!room) return false
    this.#rank()
    const credential = this.#credential
    const choice = this.#host.poolChoices.acquire({ database, entry, user, userValue, credential })
    countIn(this.#session, choice)
    this.#host.records.identify(this.#session.slot, { user, database, credential })
    if (replication !== null) {
      this.#dedicate(choice, replication)
      return false
    }
    this.#choice = choice
    if (choice.mode === 'session') this.#session.settings.pin(PIN.sessionMode)
    return true
  }

  #fits(field: 'user' | 'database', name: string, most: number): boolean {
    if (most === 0 || this.#host.sessions.count(field, name) < most) return true
    this.#host.countPlane('refused')
    this.#session.close(
      `too many clients of one ${field}`,
      FATAL('53300', `too many connections for ${field} "${name}"`),
    )
    return false
  }

  #seekPool(): void {
    const choice = this.#choice as PoolChoice
    const pool = choice.current()
    if (pool === null) {
      this.#session.deadlines.welcome()
      this.#host.holdForRoute(this)
      return
    }
    if (pool.welcome !== null) {
      const { welcome } = pool
      const known =
        this.#request.settings.size === 0
          ? welcome.baseline
          : this.#host.acceptedSettings.get(this.#settingsKey(welcome))
      if (known !== undefined) {
        this.#done(welcome, known)
        return
      }
    }
    const server = pool.checkout(this.claim)
    if (server === null) this.#await(pool)
    else this.onServer(server)
  }

  #await(pool: ServerPool): void {
    this.#session.deadlines.welcome()
    this.#awaited = pool
    pool.wait(this)
  }

  #settingsKey(welcome: PoolWelcome): string {
    return `${welcome.baseline.id}\0${this.#request.user}\0${JSON.stringify([...this.#request.settings])}`
  }

  #done(welcome: PoolWelcome, parameters: ParameterSet): void {
    const session = this.#session
    const choice = this.#choice as PoolChoice
    this.#session.seat.giveBack()
    if (session.state === 'closing') return
    this.#host.analyzer.connected(session.slot, this.#request, this.#host.now)
    this.#greet(welcome.reported, parameters)
    beginSession(session, choice, parameters)
  }

  /** What the operator says about clients like this one. */
  #rank(): void {
    const { user, database, settings } = this.#request
    const application = settings.get('application_name') ?? ''
    const tier = ruleFor(this.#host.values.policy.rules, { user, database, application })?.tier ?? null
    if (tier !== null) this.#session.memory.tier = tierCode(tier)
  }

  /** A walsender or console connection: one client's for life. */
  #dedicate(choice: PoolChoice, replication: string): void {
    const pool: ServerPool | null = choice.current()
    if (pool === null) {
      this.#session.close('no primary', FATAL('57P03', 'the group has no primary at the moment'))
      return
    }
    this.#session.settings.pin(PIN.replication)
    const target = { ...pool.target, startup: [['replication', replication], ...this.#request.settings] } as const
    this.#open(new DedicatedServer(this.#host, target, ...this.#takers()))
  }

  #console(): void {
    const { user, settings } = this.#request
    const access = this.#host.accounts.get(user)?.console ?? 'none'
    if (access === 'none') {
      this.#host.countPlane('loginFailures')
      const hint = 'list the user in admin.users or admin.stats_users'
      this.#session.close('no console access', FATAL('42501', `user "${user}" may not use the admin console`, hint))
      return
    }
    this.#session.memory.flag('console')
    this.#session.settings.pin(PIN.console)
    const startup: [string, string][] = [
      ['switchyard.console', access],
      ['switchyard.client', String(this.#session.slot)],
      ['application_name', settings.get('application_name') ?? ''],
    ]
    const { database } = this.#request
    const target = { shard: this.#host.consoleShard, user, database, credential: NO_CREDENTIAL, startup }
    this.#open(new ConsoleEntry(this.#host, target, ...this.#takers()))
  }

  #open(dedicated: ConsoleEntry | DedicatedServer): void {
    this.#dedicated = dedicated
    dedicated.open()
  }

  /** Of a connection of its own, and of the reason that there is none. */
  #takers(): [(server: ServerConnection) => void, (fields: ErrorFields) => void] {
    return [(server) => this.onServer(server), (fields) => this.onPoolFailed(fields)]
  }

  /** What PostgreSQL says at the end of its startup. */
  #greet(reported: ReadonlyMap<string, string>, parameters: ParameterSet): void {
    const session = this.#session
    writer.reset()
    for (const [name, value] of reported) {
      writeParameterStatus(
        writer,
        name,
        isSettable(name) ? (parameters.values.get(name.toLowerCase()) ?? value) : value,
      )
    }
    const key = this.#host.randomBytes(this.#request.minor >= 2 ? KEY_BYTES.new : KEY_BYTES.old)
    writeBackendKeyData(writer, this.#session.memory.issueCancelKey(key), key)
    writeReady(writer, STATUS.idle)
    session.send(writer.bytes)
  }
}

/** The settings that the server does not report, as they shall be; null: at their default. */
function unreported(server: ServerConnection, wanted: ParameterSet): [string, string | null][] {
  const names = new Set([...server.parameters.values.keys(), ...wanted.values.keys()])
  return [...names]
    .filter((name) => !server.baseline.values.has(name))
    .map((name) => [name, wanted.values.get(name) ?? null])
}
