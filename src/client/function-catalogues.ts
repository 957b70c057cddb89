import type { PlaneCommand, PlaneEvent } from '../memory/control-protocol.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import type { ServerTarget } from '../server/server-target.ts'
import type { DatabaseFunctions } from '../shard/database-functions.ts'
import type { CalledFunction } from '../sql/function-calls.ts'

type Answer = Extract<PlaneCommand, { op: 'functions' }>
type Question = Extract<PlaneEvent, { op: 'functions' }>

/** What was found is asked for again after this time, as long as somebody calls functions. */
const REFRESH_MS = 10_000
/** It is believed for so long: functions that others change, not through this plane, are noticed within this time. */
const TRUST_MS = 30_000
/** A question that nobody has answered is put again after this time. */
const RETRY_MS = 5_000
/** More databases than this are not kept in mind; their functions pin. */
const MOST_DATABASES = 64

/** Of one database. Times in monotonic milliseconds. */
interface Catalogue {
  readonly group: string
  readonly database: string
  /** Server connections on which functions are being defined, and the ReadyForQuery, counted as they are, behind which it may be over. */
  readonly defining: Map<ServerConnection, number>
  /** Of the last question; only its answer counts. */
  token: number
  askedAt: number
  isAnswered: boolean
  /** When the question was put that `names` answers. */
  knownAt: number
  version: string | null
  names: ReadonlySet<string>
  reading: ReadonlySet<string>
  qualified: ReadonlySet<string>
}

const NOTHING: ReadonlySet<string> = new Set()

/**
 * What this plane knows of the functions of databases: which of them are harmless. Asks the control process, when somebody calls
 * one, and again from time to time.
 *
 * Where functions are defined through this plane, nothing is known from then until a question has been answered that was put
 * after the end of that transaction.
 */
export class FunctionCatalogues {
  readonly #ask: (question: Question) => void
  readonly #byDatabase = new Map<string, Catalogue>()
  #lastToken = 0

  constructor(ask: (question: Question) => void) {
    this.#ask = ask
  }

  /** Whether these functions, called on `server`, leave nothing behind. False: not as far as anybody knows. */
  areHarmless(calls: readonly CalledFunction[], server: ServerConnection, now: number): boolean {
    const catalogue = this.#known(this.#of(server.target), now)
    if (catalogue === null) return false
    return calls.every(
      (called) =>
        catalogue.names.has(called.name) ||
        (called.schema !== null && catalogue.qualified.has(keyOf(called.schema, called.name))),
    )
  }

  /** Whether these functions, in the database of `target`, do nothing but read. False: not as far as anybody knows. */
  onlyRead(calls: readonly CalledFunction[], target: ServerTarget, now: number): boolean {
    const catalogue = this.#known(this.#of(target), now)
    return catalogue !== null && calls.every(({ name }) => catalogue.reading.has(name))
  }

  /** The catalogue if it can be believed; asks for it when that is due. */
  #known(catalogue: Catalogue | null, now: number): Catalogue | null {
    if (catalogue === null) return null
    this.#forgetSettled(catalogue)
    if (catalogue.defining.size > 0) return null
    const wait = catalogue.isAnswered ? REFRESH_MS : RETRY_MS
    if (now - catalogue.askedAt >= wait) this.#question(catalogue, now)
    return now - catalogue.knownAt > TRUST_MS ? null : catalogue
  }

  /** Something that may define functions is about to be sent to `server`. */
  define(server: ServerConnection): void {
    const catalogue = this.#of(server.target)
    if (catalogue === null) return
    forget(catalogue)
    catalogue.defining.set(server, server.queue.answered + server.queue.outstanding + 1)
  }

  answered({ group, database, token, functions }: Answer): void {
    const catalogue = this.#byDatabase.get(keyOf(group, database))
    if (catalogue === undefined || catalogue.token !== token) return
    catalogue.isAnswered = true
    if (functions === null) return
    catalogue.knownAt = catalogue.askedAt
    if (functions !== 'unchanged') learn(catalogue, functions)
  }

  #question(catalogue: Catalogue, now: number): void {
    const { group, database, version: known } = catalogue
    catalogue.token = ++this.#lastToken
    catalogue.askedAt = now
    catalogue.isAnswered = false
    this.#ask({ op: 'functions', group, database, token: catalogue.token, known })
  }

  /** The transactions in which functions were defined may be over, which means that they are asked for anew. */
  #forgetSettled(catalogue: Catalogue): void {
    for (const [server, endsWith] of catalogue.defining) {
      const isAnswered = server.queue.answered >= endsWith && server.queue.length === 0
      const isOver = server.state !== 'active' || (isAnswered && !server.inTransaction)
      if (isOver) catalogue.defining.delete(server)
    }
  }

  #of({ database, shard: { group } }: ServerTarget): Catalogue | null {
    const key = keyOf(group, database)
    const known = this.#byDatabase.get(key)
    if (known !== undefined) return known
    if (this.#byDatabase.size >= MOST_DATABASES) return null
    const never = Number.NEGATIVE_INFINITY
    const catalogue: Catalogue = {
      group,
      database,
      defining: new Map(),
      token: 0,
      askedAt: never,
      isAnswered: false,
      knownAt: never,
      version: null,
      names: NOTHING,
      reading: NOTHING,
      qualified: NOTHING,
    }
    this.#byDatabase.set(key, catalogue)
    return catalogue
  }
}

function learn(catalogue: Catalogue, { version, names, reading, qualified }: DatabaseFunctions): void {
  catalogue.version = version
  catalogue.names = new Set(names)
  catalogue.reading = new Set(reading)
  catalogue.qualified = new Set(qualified.map(([schema, name]) => keyOf(schema, name)))
}

/** Nothing is known, and an answer that is under way does not count. */
function forget(catalogue: Catalogue): void {
  catalogue.token = 0
  catalogue.askedAt = Number.NEGATIVE_INFINITY
  catalogue.knownAt = Number.NEGATIVE_INFINITY
}

const keyOf = (one: string, other: string): string => JSON.stringify([one, other])
