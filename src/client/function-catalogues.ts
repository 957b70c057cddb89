import type { PlaneCommand, PlaneEvent } from '../memory/control-protocol.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import type { ServerTarget } from '../server/server-target.ts'
import type { DatabaseFunctions } from '../shard/database-functions.ts'
import { NO_RELATIONS } from '../shard/database-functions.ts'
import type { CalledFunction } from '../sql/function-calls.ts'
import { Lexer } from '../sql/lexer.ts'
import type { SecondOpinion } from '../sql/second-opinion.ts'
import { mayUseRelations, WatchedRelations } from '../sql/watched-relations.ts'

type Answer = Extract<PlaneCommand, { op: 'functions' }>
type Question = Extract<PlaneEvent, { op: 'functions' }>

/** What was found is asked for again after this time, as long as somebody calls functions. */
const REFRESH_MS = 10_000
/** It is believed for so long: functions that others change, not through this plane, are noticed within this time. */
const TRUST_MS = 30_000
/** A question that nobody has answered is put again after this time. */
const RETRY_MS = 5_000
/** Databases in use are asked about after this time although nobody calls functions: for what is called unseen. */
const ATTEND_MS = 60_000
/** The same where nobody has answered; control gives up before. */
const ATTEND_RETRY_MS = 15_000
/** Where definition follows definition, it is not asked after each of them. */
const GAP_MS = 100
/** More databases than this are not kept in mind; their functions pin, and what they call unseen is not seen. */
const MOST_DATABASES = 1024

/** Of one database. Times in monotonic milliseconds. */
interface Catalogue {
  readonly group: string
  readonly database: string
  /** Server connections on which functions are being defined, and the ReadyForQuery, counted as they are, behind which it may be over. */
  readonly defining: Map<ServerConnection, number>
  /** Of the last question; only its answer counts. */
  token: number
  askedAt: number
  /** The same, whether or not an answer still counts. */
  putAt: number
  isAnswered: boolean
  /** When the question was put that `names` answers. */
  knownAt: number
  version: string | null
  /** Somebody calls functions. */
  withNames: boolean
  names: ReadonlySet<string>
  reading: ReadonlySet<string>
  qualified: ReadonlySet<string>
  /** As far as anybody knows; it counts until something else is known. */
  watched: WatchedRelations
  /** Something was defined since that was asked for, and until this time any relation may lead anywhere. */
  doubtUntil: number
  /** The last question could not be answered. */
  isBlind: boolean
}

const NOTHING: ReadonlySet<string> = new Set()
const NO_WATCHED = new WatchedRelations(NO_RELATIONS)
const NEVER = Number.NEGATIVE_INFINITY

/** What it needs besides somebody to ask. */
export interface CataloguesOptions {
  readonly opinion: SecondOpinion | null
  /** Something in this database may have left something behind in server connections, unseen until now. */
  readonly onFound: (group: string, database: string) => void
}

/**
 * What this plane knows of the functions of databases: which of them are harmless, and which relations lead to others. Asks the
 * control process when a database comes into use, and again from time to time, more often as long as somebody calls functions.
 *
 * Where functions are defined through this plane, nothing is known from then until a question has been answered that was put
 * after the end of that transaction.
 */
export class FunctionCatalogues {
  readonly #ask: (question: Question) => void
  readonly #options: CataloguesOptions
  readonly #lexer = new Lexer()
  readonly #byDatabase = new Map<string, Catalogue>()
  readonly #byTarget = new WeakMap<ServerTarget, Catalogue>()
  #lastToken = 0
  /** Some database has relations that lead to functions which may do anything, or may have; mostly none has. */
  isWatching = false

  constructor(ask: (question: Question) => void, options: CataloguesOptions) {
    this.#ask = ask
    this.#options = options
  }

  /** Somebody uses the database of `target`. Returns whether control is asked about it. */
  attend(target: ServerTarget, now: number): boolean {
    const catalogue = this.#of(target)
    if (catalogue === null) return false
    this.#forgetSettled(catalogue, now)
    const wait = catalogue.isAnswered ? ATTEND_MS : ATTEND_RETRY_MS
    if (catalogue.defining.size > 0 || now - catalogue.askedAt < wait) return false
    return this.#question(catalogue, now)
  }

  /**
   * Whether what is executed in the database of `target` uses, without a call, functions that may leave something behind:
   * `bytes[start, end)`, the whole text; null: it is too long. To be asked when `isWatching`.
   */
  mayLeave(target: ServerTarget, now: number, bytes: Uint8Array | null, start: number, end: number): boolean {
    const catalogue = this.#of(target)
    if (catalogue === null) return false
    this.#known(catalogue, now)
    const { watched, doubtUntil, isBlind } = catalogue
    const isDoubtful = now < doubtUntil && !isBlind
    if (!isDoubtful && watched.isEmpty) {
      // Nobody has answered for long.
      if (doubtUntil !== NEVER) this.#settleDoubt(catalogue)
      return false
    }
    const { opinion } = this.#options
    if (bytes === null) return true
    return (
      watched.areIn(bytes, start, end, opinion) ||
      (isDoubtful && mayUseRelations(this.#lexer, bytes, start, end, opinion))
    )
  }

  /** Whether these functions, called on `server`, leave nothing behind. False: not as far as anybody knows. */
  areHarmless(calls: readonly CalledFunction[], server: ServerConnection, now: number): boolean {
    const catalogue = this.#named(this.#of(server.target), now)
    if (catalogue === null) return false
    return calls.every(
      (called) =>
        catalogue.names.has(called.name) ||
        (called.schema !== null && catalogue.qualified.has(keyOf(called.schema, called.name))),
    )
  }

  /** Whether these functions, in the database of `target`, do nothing but read. False: not as far as anybody knows. */
  onlyRead(calls: readonly CalledFunction[], target: ServerTarget, now: number): boolean {
    const catalogue = this.#named(this.#of(target), now)
    return catalogue !== null && calls.every(({ name }) => catalogue.reading.has(name))
  }

  /** The same, as somebody calls functions: from the first call on, their names are asked for as well. */
  #named(catalogue: Catalogue | null, now: number): Catalogue | null {
    if (catalogue !== null && !catalogue.withNames) {
      catalogue.withNames = true
      catalogue.version = null
      catalogue.putAt = NEVER
      forget(catalogue)
    }
    return this.#known(catalogue, now)
  }

  /** The catalogue if it can be believed; asks for it when that is due. */
  #known(catalogue: Catalogue | null, now: number): Catalogue | null {
    if (catalogue === null) return null
    this.#forgetSettled(catalogue, now)
    if (catalogue.defining.size > 0) return null
    const wait = catalogue.isAnswered ? REFRESH_MS : RETRY_MS
    if (now - catalogue.askedAt >= wait) this.#question(catalogue, now)
    return now - catalogue.knownAt > TRUST_MS ? null : catalogue
  }

  /** Something that may define functions is about to be sent to `server`. */
  define(server: ServerConnection, now: number): void {
    const catalogue = this.#of(server.target)
    if (catalogue === null) return
    forget(catalogue)
    this.#doubt(catalogue, now)
    catalogue.defining.set(server, server.queue.answered + server.queue.outstanding + 1)
  }

  answered({ group, database, token, functions }: Answer): void {
    const catalogue = this.#byDatabase.get(keyOf(group, database))
    if (catalogue === undefined || catalogue.token !== token) return
    catalogue.isAnswered = true
    catalogue.isBlind = functions === null
    if (functions === null) return
    catalogue.knownAt = catalogue.askedAt
    if (functions !== 'unchanged') this.#learn(catalogue, functions)
    this.#settleDoubt(catalogue)
  }

  #learn(catalogue: Catalogue, { version, names, reading, qualified, relations }: DatabaseFunctions): void {
    const { group, database, watched, doubtUntil } = catalogue
    catalogue.version = version
    catalogue.names = new Set(names)
    catalogue.reading = new Set(reading)
    catalogue.qualified = new Set(qualified.map(([schema, name]) => keyOf(schema, name)))
    catalogue.watched = new WatchedRelations(relations)
    // While it was in doubt, nobody has left anything behind.
    if (doubtUntil === NEVER && watched.lacksAnyOf(relations)) this.#options.onFound(group, database)
  }

  #doubt(catalogue: Catalogue, now: number): void {
    catalogue.doubtUntil = now + TRUST_MS
    this.isWatching = true
  }

  #settleDoubt(catalogue: Catalogue): void {
    catalogue.doubtUntil = NEVER
    this.isWatching = false
    for (const { watched, doubtUntil } of this.#byDatabase.values()) {
      if (!watched.isEmpty || doubtUntil !== NEVER) this.isWatching = true
    }
  }

  #question(catalogue: Catalogue, now: number): boolean {
    if (now - catalogue.putAt < GAP_MS) return false
    catalogue.putAt = now
    const { group, database, version: known, withNames } = catalogue
    catalogue.token = ++this.#lastToken
    catalogue.askedAt = now
    catalogue.isAnswered = false
    this.#ask({ op: 'functions', group, database, token: catalogue.token, known, withNames })
    return true
  }

  /** The transactions in which functions were defined may be over, which means that they are asked for anew. */
  #forgetSettled(catalogue: Catalogue, now: number): void {
    for (const [server, endsWith] of catalogue.defining) {
      const isAnswered = server.queue.answered >= endsWith && server.queue.length === 0
      const isOver = server.state !== 'active' || (isAnswered && !server.inTransaction)
      if (!isOver) continue
      catalogue.defining.delete(server)
      this.#doubt(catalogue, now)
    }
  }

  #of(target: ServerTarget): Catalogue | null {
    const known = this.#byTarget.get(target)
    if (known !== undefined) return known
    const { database, shard } = target
    const key = keyOf(shard.group, database)
    const catalogue = this.#byDatabase.get(key) ?? this.#add(key, shard.group, database)
    if (catalogue !== null) this.#byTarget.set(target, catalogue)
    return catalogue
  }

  #add(key: string, group: string, database: string): Catalogue | null {
    if (this.#byDatabase.size >= MOST_DATABASES) return null
    const catalogue: Catalogue = {
      group,
      database,
      defining: new Map(),
      token: 0,
      askedAt: NEVER,
      putAt: NEVER,
      isAnswered: false,
      knownAt: NEVER,
      version: null,
      withNames: false,
      names: NOTHING,
      reading: NOTHING,
      qualified: NOTHING,
      watched: NO_WATCHED,
      doubtUntil: NEVER,
      isBlind: false,
    }
    this.#byDatabase.set(key, catalogue)
    return catalogue
  }
}

/** Nothing is known, and an answer that is under way does not count. */
function forget(catalogue: Catalogue): void {
  catalogue.token = 0
  catalogue.askedAt = NEVER
  catalogue.knownAt = NEVER
}

const keyOf = (one: string, other: string): string => JSON.stringify([one, other])
