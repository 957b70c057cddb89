import type pg from 'pg'
import type { Config } from '../../config/schema.ts'
import type { Logger } from '../../log.ts'
import type { PlaneCommand, PlaneEvent } from '../../memory/control-protocol.ts'
import type { DatabaseRelations } from '../../shard/database-functions.ts'
import type { Shard, Topology } from '../../shard/topology.ts'
import { PostgresParser } from '../../sql/postgres-parser.ts'
import { serverTlsValue, shardTls } from '../shard-tls.ts'
import { type ReadCatalogue, readCatalogue } from './catalogue-reader.ts'

type Question = Extract<PlaneEvent, { op: 'functions' }>
type Answer = Extract<PlaneCommand, { op: 'functions' }>

type Primary = Shard & { readonly address: string }

const TIMEOUT_MS = 10_000
/** Databases that may be read at the same time; a question too many is not answered, and comes again. */
const MOST_AT_ONCE = 4

/** What looking functions up needs of the router. */
export interface CatalogueFinderOptions {
  readonly topology: () => Topology
  /** Whether connections to a shard use TLS, which in mode `prefer` the shard decides. */
  readonly usesTls: (shard: number) => boolean
  readonly log: Logger
}

/** Answers planes that want to know which functions of a database are harmless. As the role of the monitor, on the primary. */
export class CatalogueFinder {
  readonly #options: CatalogueFinderOptions
  /** What was logged last, by database: the same is not said again. */
  readonly #said = new Map<string, string>()
  #underWay = 0
  #config: Config | null = null
  /** Not before it is needed. */
  #parser: PostgresParser | null = null

  constructor(options: CatalogueFinderOptions) {
    this.#options = options
  }

  /** Uses `config` from now on. */
  configure(config: Config): void {
    this.#config = config
  }

  /** `known`: the version that the plane has. Failures are answered with null, and logged. */
  async find({ group, database, token, known, withNames }: Question): Promise<Answer> {
    const answer = { op: 'functions', group, database, token } as const
    const shard = this.#primaryOf(group)
    if (this.#config === null || shard === null || this.#underWay >= MOST_AT_ONCE) return { ...answer, functions: null }
    this.#underWay++
    try {
      this.#parser ??= await PostgresParser.load()
      const read = await readCatalogue(
        this.#clientConfig(this.#config, shard, database),
        { known, withNames },
        this.#parser,
      )
      if (read === null) return { ...answer, functions: 'unchanged' }
      this.#report(group, database, read)
      return { ...answer, functions: read.functions }
    } catch (error) {
      this.#say(group, database, `its functions cannot be looked at, so calls of them pin: ${messageOf(error)}`)
      return { ...answer, functions: null }
    } finally {
      this.#underWay--
    }
  }

  #report(group: string, database: string, { functions, hidden }: ReadCatalogue): void {
    const { names, hasNames, relations } = functions
    const harmless = hasNames ? names.length : undefined
    this.#options.log.debug({ group, database, harmless }, `functions of ${database} were looked at`)
    if (hidden.length === 0) return
    const pins = pinning(relations)
    const called = `${some(hidden)} ${hidden.length === 1 ? 'is' : 'are'} called by triggers, views or the like, or by the name of a built-in function`
    this.#say(group, database, `what may change a session is called unseen, so ${pins} pin: ${called}`)
  }

  #say(group: string, database: string, reason: string): void {
    const key = JSON.stringify([group, database])
    if (this.#said.get(key) === reason) return
    this.#said.set(key, reason)
    this.#options.log.warn({ group, database, reason }, `database ${database}: ${reason}`)
  }

  #clientConfig({ monitor, serverTls }: Config, shard: Primary, database: string): pg.ClientConfig {
    return {
      host: shard.address.startsWith('/') ? shard.host : shard.address,
      port: shard.port,
      user: monitor.user,
      // A function, so that an absent password is not looked up in the environment.
      password: () => monitor.password ?? '',
      database,
      ssl: this.#options.usesTls(shard.id) ? shardTls(serverTlsValue(serverTls), shard.host) : false,
      application_name: 'switchyard catalogue',
      client_encoding: 'UTF8',
      options: '-c search_path=pg_catalog',
      connectionTimeoutMillis: TIMEOUT_MS,
      statement_timeout: TIMEOUT_MS,
      query_timeout: TIMEOUT_MS + 500,
    }
  }

  #primaryOf(group: string): Primary | null {
    const { shards } = this.#options.topology()
    const primary = shards.find((shard) => shard.group === group && shard.role === 'primary' && shard.up)
    return primary === undefined || primary.address === null ? null : { ...primary, address: primary.address }
  }
}

/** The first few. */
function some(all: readonly string[]): string {
  return all.length > 5 ? `${all.slice(0, 5).join(', ')} and ${all.length - 5} more` : all.join(', ')
}

/** Which statements pin. */
function pinning({ everything, definitions, read, written }: DatabaseRelations): string {
  if (everything) return 'all statements'
  const kinds = [
    ...(read.length > 0 ? [`statements on ${some(read.map((name) => name.join('.')))}`] : []),
    ...(written.length > 0 ? [`writes to ${some(written.map((name) => name.join('.')))}`] : []),
    ...(definitions ? ['definitions'] : []),
  ]
  return kinds.length === 0 ? 'all functions' : kinds.join(', ')
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
