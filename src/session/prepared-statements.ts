import type { Stored } from '../memory/value-store.ts'
import type { Effects } from '../sql/statement-effects.ts'

/** A statement text with its parameter types, whoever prepared it under whatever name. */
export class PreparedStatement implements Stored {
  readonly id: number
  /** Everything of the Parse message after its name: text, NUL, parameter types. Empty of a long one that is of no use. */
  tail: Buffer
  /** One session's own, since its text was not seen whole before it had to have a name. */
  readonly isLong: boolean
  /** The name it has on every server connection. */
  readonly serverName: string
  /** The same as it is sent, with its NUL. */
  readonly serverNameBytes: Buffer
  /** What executing it does to a session; null: nothing, undefined: nobody has looked yet. */
  effects: Effects | null | undefined = undefined
  /** Whether executing it certainly only reads; undefined: nobody has looked yet. */
  reads: boolean | undefined = undefined
  /** Sessions that have it. */
  users = 0
  /** Its tail, in the plane's value store; 0 as long as no session at rest has it. */
  storedAs = 0
  storedIn = 0

  constructor(id: number, tail: Buffer, isLong = false) {
    this.id = id
    this.tail = tail
    this.isLong = isLong
    this.serverName = `switchyard_${id}`
    this.serverNameBytes = Buffer.from(`${this.serverName}\0`)
  }
}

/** A statement as JSON can say it: its number, and the id of its text in the value store, 0 for one that is not there. */
export type StatementReference = readonly [number, number]

/** Past this many statements, those that no session has any more are dropped. */
const SWEEP_AT = 10_000
/** So much of a plane's memory may be taken by texts that were too long to be seen whole. */
const LONG_TEXT_BYTES = 64 * 1024 * 1024
const EMPTY = Buffer.alloc(0)

/** Statements by text, shared by all sessions of a plane. */
export class StatementRegistry {
  readonly #byTail = new Map<string, PreparedStatement>()
  #nextId = 1
  #sweepAt = SWEEP_AT
  #longBytes = 0
  /** By number, while sessions of another process are restored. */
  readonly #kept = new Map<number, PreparedStatement>()

  get size(): number {
    return this.#byTail.size
  }

  /** The statement with this tail, which is copied if it is new. Counts one user: give it back with `release`. */
  acquire(tail: Buffer): PreparedStatement {
    const key = tail.toString('latin1')
    let statement = this.#byTail.get(key)
    if (statement === undefined) {
      if (this.#byTail.size >= this.#sweepAt) this.#sweep()
      statement = new PreparedStatement(this.#nextId++, Buffer.from(tail))
      this.#byTail.set(key, statement)
    }
    statement.users++
    return statement
  }

  /** The statement that another process has called `id`, with this tail. */
  restore(id: number, tail: Buffer): PreparedStatement {
    this.avoid(id)
    const key = tail.toString('latin1')
    const known = this.#byTail.get(key)
    if (known?.id === id) return known
    const kept = this.#kept.get(id)
    if (kept !== undefined) return kept
    const statement = new PreparedStatement(id, tail)
    // Of several with the same text, those with the lower numbers are out of date.
    if (known === undefined || known.id < id) this.#byTail.set(key, statement)
    this.#kept.set(id, statement)
    return statement
  }

  /** All that another process knew is restored. */
  restored(): void {
    this.#kept.clear()
  }

  /** A long one that another process has called `id`: its text is not known. */
  restoreLong(id: number): PreparedStatement {
    this.avoid(id)
    const statement = this.#kept.get(id) ?? new PreparedStatement(id, EMPTY, true)
    this.#kept.set(id, statement)
    return statement
  }

  /** Nothing new gets this number. */
  avoid(id: number): void {
    this.#nextId = Math.max(this.#nextId, id + 1)
  }

  /** Room for a text that is too long to be seen whole; null when such texts take enough. Give it back with `free`. */
  reserve(bytes: number): Buffer | null {
    if (this.#longBytes + bytes > LONG_TEXT_BYTES) return null
    this.#longBytes += bytes
    return Buffer.allocUnsafeSlow(bytes)
  }

  free(text: Buffer): void {
    this.#longBytes -= text.length
  }

  /** A new statement with what `reserve` gave, which is about to be filled. Counts one user. */
  addLong(tail: Buffer): PreparedStatement {
    const statement = new PreparedStatement(this.#nextId++, tail, true)
    statement.users = 1
    return statement
  }

  /** Released, and nothing can bring it back: nobody needs the text of a long one any more. */
  drop(statement: PreparedStatement): void {
    if (!statement.isLong || statement.users > 0) return
    this.free(statement.tail)
    statement.tail = EMPTY
  }

  /** An unused statement stays for whoever prepares it next, until there are too many. */
  release(statement: PreparedStatement): void {
    statement.users--
  }

  /** Its plans are out of date: whoever prepares the same text from now on gets a fresh statement. */
  forget(statement: PreparedStatement): void {
    const key = statement.tail.toString('latin1')
    if (this.#byTail.get(key) === statement) this.#byTail.delete(key)
  }

  #sweep(): void {
    for (const [key, statement] of this.#byTail) if (statement.users === 0) this.#byTail.delete(key)
    // Where most are in use, sweeping for every new one would find nothing and take long.
    this.#sweepAt = Math.max(SWEEP_AT, 2 * this.#byTail.size)
  }
}

/** What one client has prepared, by the names it chose. */
export class SessionStatements implements Stored {
  readonly #registry: StatementRegistry
  readonly #named = new Map<string, PreparedStatement>()
  /** All names, in the plane's value store; 0 when there are none; −1 when they have changed since. */
  storedAs = 0
  storedIn = 0
  /** Changes with every change. */
  version = 0

  constructor(registry: StatementRegistry) {
    this.#registry = registry
  }

  #changed(): void {
    this.storedAs = -1
    this.version++
  }

  /** `name` means `statement`, as another process has known. */
  put(name: string, statement: PreparedStatement): void {
    statement.users++
    this.#named.set(name, statement)
    this.#changed()
  }

  entries(): Iterable<readonly [string, PreparedStatement]> {
    return this.#named
  }

  get size(): number {
    return this.#named.size
  }

  get(name: string): PreparedStatement | undefined {
    return this.#named.get(name)
  }

  /** False when the name is taken, which PostgreSQL refuses with 42P05. */
  add(name: string, tail: Buffer): PreparedStatement | null {
    if (this.#named.has(name)) return null
    const statement = this.#registry.acquire(tail)
    this.#named.set(name, statement)
    this.#changed()
    return statement
  }

  /** The name is free. */
  addLong(name: string, tail: Buffer): PreparedStatement {
    const statement = this.#registry.addLong(tail)
    this.#named.set(name, statement)
    this.#changed()
    return statement
  }

  /** It may come back with `restore`; once that is over, `StatementRegistry.drop`. */
  delete(name: string): void {
    const statement = this.#named.get(name)
    if (statement === undefined) return
    this.#named.delete(name)
    this.#changed()
    this.#registry.release(statement)
  }

  /** Makes `name` mean `statement` again, or nothing. */
  restore(name: string, statement: PreparedStatement | null): void {
    const undone = this.#named.get(name)
    this.delete(name)
    if (undone !== undefined && undone !== statement) this.#registry.drop(undone)
    this.#changed()
    if (statement === null) return
    statement.users++
    this.#named.set(name, statement)
  }

  /** It was deleted, and does not come back. */
  drop(statement: PreparedStatement): void {
    this.#registry.drop(statement)
  }

  clear(): void {
    for (const statement of this.#named.values()) {
      this.#registry.release(statement)
      this.#registry.drop(statement)
    }
    this.#named.clear()
    this.#changed()
  }
}

/** What one server connection has parsed, the least recently used first. */
export class ServerStatements {
  readonly #known = new Map<PreparedStatement, true>()
  /** The most recently used, if it is still there. */
  #latest: PreparedStatement | null = null
  /** How many of them are long. */
  #long = 0
  /** Changes with every change of which there are. */
  version = 0

  get all(): Iterable<PreparedStatement> {
    return this.#known.keys()
  }

  get size(): number {
    return this.#known.size
  }

  /** True when it is there; it becomes the most recently used. */
  use(statement: PreparedStatement): boolean {
    if (statement === this.#latest) return true
    if (!this.#known.delete(statement)) return false
    this.#known.set(statement, true)
    this.#latest = statement
    return true
  }

  add(statement: PreparedStatement): void {
    if (statement.isLong && !this.#known.has(statement)) this.#long++
    // Of one that is there already the place is not changed.
    if (!this.#known.has(statement)) this.#latest = statement
    this.version++
    this.#known.set(statement, true)
  }

  delete(statement: PreparedStatement): void {
    if (statement === this.#latest) this.#latest = null
    this.version++
    if (this.#known.delete(statement) && statement.isLong) this.#long--
  }

  /** The one to give up when there are `most` or more, or when one is long and of no use; null when there is room. */
  evict(most: number): PreparedStatement | null {
    if (this.#long > 0) {
      for (const statement of this.#known.keys()) {
        if (!statement.isLong || statement.users > 0) continue
        this.delete(statement)
        return statement
      }
    }
    if (this.#known.size < most) return null
    for (const statement of this.#known.keys()) {
      this.delete(statement)
      return statement
    }
    return null
  }

  clear(): void {
    this.version++
    this.#known.clear()
    this.#latest = null
    this.#long = 0
  }
}
