import pg from 'pg'
import type { ServerTlsValue } from '../../shard/plane-values.ts'
import { shardTls } from '../shard-tls.ts'
import { type LoadAnswer, type LoadSample, loadQuestion, readLoad } from './load-sample.ts'
import { describeProbeFailure, type ProbeFailure } from './probe-failure.ts'
import { POSITION_QUESTION, type PositionRow, readPosition, type WalPosition } from './wal-position.ts'

/** How a shard is asked, and as whom. */
export interface ProbeSettings {
  readonly user: string
  readonly password: string | null
  readonly database: string
  /** For connecting and asking together. */
  readonly timeoutMs: number
  readonly tls: ServerTlsValue
}

/** Where a shard is. */
export interface ProbeTarget {
  /** As configured: what a certificate is checked against. */
  readonly host: string
  /** Numeric, or the path of a Unix socket. */
  readonly address: string
  readonly port: number
}

/** A prepared statement that is asked again and again. */
export interface ShardQuestion {
  readonly name: string
  readonly text: string
  readonly values?: readonly unknown[]
}

/** What a shard says of itself. */
export interface Observation {
  readonly isInRecovery: boolean
  readonly serverVersion: string
  /** When its postmaster started, as PostgreSQL prints it: a change is a restart. */
  readonly startedAt: string
  /** Of its log; null: it is a replica. */
  readonly timeline: number | null
  /** Null: it does not tell. */
  readonly identity: ServerIdentity | null
}

/** Which database system its data is of. */
export interface ServerIdentity {
  readonly system: string
  /** Of its last checkpoint when the monitor connected. */
  readonly timeline: number
}

export type ProbeResult = { readonly kind: 'answered'; readonly observation: Observation } | ProbeFailure

/** A question that takes longer than this is a sign of its own. */
export const STATEMENT_TIMEOUT_MS = 400
/** The oldest major version whose load we know how to ask for. */
const OLDEST_VERSION = 15

const QUESTION = `select pg_catalog.pg_is_in_recovery() as recovery,
  pg_catalog.current_setting('server_version') as version,
  pg_catalog.pg_postmaster_start_time()::text as started,
  case when not pg_catalog.pg_is_in_recovery() then
    ('x' || pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 1, 8))
      ::pg_catalog.bit(32)::pg_catalog.int4 end as timeline`

const IDENTITY_QUESTION = `select s.system_identifier::text as system, c.timeline_id as timeline
  from pg_catalog.pg_control_system() s, pg_catalog.pg_control_checkpoint() c`
/** It has no such functions, or they are not for us. */
const NOT_TOLD = /^(42|0A)/

interface Answer {
  readonly recovery: boolean
  readonly version: string
  readonly started: string
  readonly timeline: number | null
}

/** One connection to one shard that is kept open to ask it how it is, again and again. */
export class ShardProbe {
  readonly #target: ProbeTarget
  readonly #settings: ProbeSettings
  readonly #now: () => number
  readonly #onBroken: () => void
  #client: pg.Client | null = null
  #isTlsRefused = false
  #isAsking = false
  #isConnected = false
  /** Of the server behind the connection. */
  #identity: ServerIdentity | null = null
  /** Names of the questions that have not been answered yet. */
  readonly #asked = new Set<string>()
  #majorVersion = 0

  /** `now`: monotonic milliseconds. `onBroken`: the idle connection ended, so the shard may have. */
  constructor(target: ProbeTarget, settings: ProbeSettings, now: () => number, onBroken: () => void) {
    this.#target = target
    this.#settings = settings
    this.#now = now
    this.#onBroken = onBroken
  }

  /** Whether connections to this shard use TLS, as far as is known: in mode `prefer` the shard decides. */
  get usesTls(): boolean {
    return !this.#isTlsRefused && shardTls(this.#settings.tls, this.#target.host) !== false
  }

  /** Asks once. A connection that broke while it lay idle proves nothing: a new one is tried before the verdict. */
  async ask(): Promise<ProbeResult> {
    const wasConnected = this.#client !== null
    this.#isAsking = true
    try {
      const result = await this.#askOnce()
      if (result.kind === 'answered' || result.kind === 'busy') return result
      return !wasConnected || result.isTimeout ? result : await this.#askOnce()
    } finally {
      this.#isAsking = false
    }
  }

  /** The next question goes over a new connection. Not while one is under way. */
  reconnect(): void {
    this.#drop()
  }

  /** Where its log is; null: there is no open connection to ask on, no answer in time, or one question too many. */
  async position(timeoutMs: number): Promise<WalPosition | null> {
    const rows = await this.rows<PositionRow>({ name: 'switchyard_position', text: POSITION_QUESTION }, timeoutMs)
    return rows?.[0] === undefined ? null : readPosition(rows[0])
  }

  /**
   * The answer to a question beside the probe's own, over the same connection; null: there is no open connection to ask on,
   * no answer in time, an error, or the question of that name has not been answered yet.
   */
  async rows<Row extends object>(question: ShardQuestion, timeoutMs: number): Promise<readonly Row[] | null> {
    const client = this.#client
    if (client === null || !this.#isConnected || this.#asked.has(question.name)) return null
    this.#asked.add(question.name)
    const answer = client
      .query<Row & pg.QueryResultRow>({ ...question, values: [...(question.values ?? [])] })
      .then(({ rows }) => rows)
      .catch(() => null)
      .finally(() => this.#asked.delete(question.name))
    return await withinTime(answer, timeoutMs)
  }

  /**
   * What it says of its load. `slow`: the answer took so long that the server gave up. Null: there is no open connection to
   * ask on, it does not tell, or it has not answered after `timeoutMs`.
   */
  async load(timeoutMs: number): Promise<LoadSample | 'slow' | null> {
    const client = this.#client
    if (client === null || !this.#isConnected || this.#majorVersion < OLDEST_VERSION) return null
    const askedAt = this.#now()
    const name = `switchyard_load_${this.#majorVersion}`
    const answer = client.query<{ load: LoadAnswer }>({ name, text: loadQuestion(this.#majorVersion) }).then(
      ({ rows: [row] }) => (row === undefined ? null : readLoad(row.load, askedAt, this.#now() - askedAt)),
      (error: unknown) => (describeProbeFailure(error, false).kind === 'busy' ? 'slow' : null),
    )
    return await withinTime(answer, timeoutMs)
  }

  /** A probe under way fails. */
  close(): void {
    this.#drop()
  }

  async #askOnce(): Promise<ProbeResult> {
    const { timeoutMs } = this.#settings
    let timer: NodeJS.Timeout | undefined
    const tooLate = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new ProbeTimeout(timeoutMs)), timeoutMs)
    })
    try {
      const { rows } = await Promise.race([this.#query(), tooLate])
      const [answer] = rows
      if (answer === undefined) throw new Error('no row came back')
      this.#majorVersion = Number.parseInt(answer.version, 10)
      return {
        kind: 'answered',
        observation: {
          isInRecovery: answer.recovery,
          serverVersion: answer.version,
          startedAt: answer.started,
          timeline: answer.timeline,
          identity: this.#identity,
        },
      }
    } catch (error) {
      const failure = describeProbeFailure(error, error instanceof ProbeTimeout)
      if (failure.kind !== 'busy' || !this.#isConnected) this.#drop()
      return failure
    } finally {
      clearTimeout(timer)
    }
  }

  async #query(): Promise<pg.QueryResult<Answer>> {
    const client = this.#client ?? (await this.#connect())
    return await client.query<Answer>(QUESTION)
  }

  async #connect(): Promise<pg.Client> {
    try {
      return await this.#connectOnce(this.usesTls)
    } catch (error) {
      if (this.#settings.tls.mode !== 'prefer' || !isTlsRefusal(error)) throw error
      this.#isTlsRefused = true
      this.#drop()
      return await this.#connectOnce(false)
    }
  }

  async #connectOnce(useTls: boolean): Promise<pg.Client> {
    const target = this.#target
    const settings = this.#settings
    const isUnix = target.address.startsWith('/')
    const client = new pg.Client({
      host: isUnix ? target.host : target.address,
      port: target.port,
      user: settings.user,
      // A function, so that an absent password is not looked up in the environment.
      password: () => settings.password ?? '',
      database: settings.database,
      ssl: useTls ? shardTls(settings.tls, target.host) : false,
      application_name: 'switchyard monitor',
      keepAlive: true,
      statement_timeout: Math.min(STATEMENT_TIMEOUT_MS, settings.timeoutMs),
    })
    this.#client = client
    this.#isConnected = false
    // Both come for a connection that breaks, whether or not a question is under way.
    client.on('error', () => this.#lost(client))
    client.on('end', () => this.#lost(client))
    await client.connect()
    this.#identity = await askIdentity(client)
    this.#isConnected = this.#client === client
    return client
  }

  #lost(client: pg.Client): void {
    if (this.#client !== client) return
    this.#client = null
    // Else the question under way finds out.
    if (!this.#isAsking) this.#onBroken()
  }

  #drop(): void {
    const client = this.#client
    this.#client = null
    // `end` waits for the server to agree, which it may never do.
    client?.end().catch(() => {})
    client?.connection.stream.destroy()
  }
}

/** What comes in time; null otherwise. */
async function withinTime<T>(answer: Promise<T>, timeoutMs: number): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined
  const tooLate = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), timeoutMs)
  })
  try {
    return await Promise.race([answer, tooLate])
  } finally {
    clearTimeout(timer)
  }
}

class ProbeTimeout extends Error {
  constructor(timeoutMs: number) {
    super(`no answer within ${timeoutMs} ms`)
  }
}

function isTlsRefusal(error: unknown): boolean {
  return error instanceof Error && error.message === 'The server does not support SSL connections'
}

async function askIdentity(client: pg.Client): Promise<ServerIdentity | null> {
  try {
    const { rows } = await client.query<ServerIdentity>(IDENTITY_QUESTION)
    return rows[0] ?? null
  } catch (error) {
    if (error instanceof pg.DatabaseError && NOT_TOLD.test(error.code ?? '')) return null
    throw error
  }
}
