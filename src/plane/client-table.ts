import { timingSafeEqual } from 'node:crypto'
import type { ClientSession } from '../client/client-session.ts'
import { cancelProcessId } from '../client/client-slot.ts'
import { CLIENT, CLIENT_F64, CLIENT_TEXT, PIN } from '../memory/client-slots.ts'
import type { Region } from '../memory/region.ts'
import type { ParameterSet } from '../session/parameters.ts'
import type { HeldClient } from './keeper-link.ts'

/** Clients whose sessions begin when somebody asks for them. */
export interface LateSessions {
  readonly size: number
  readonly all: Iterable<HeldClient>
  /** The session of this slot begins, and is `add`ed, if it is one of them. */
  wake(slot: number): unknown
  wakeAll(): void
}

/** The clients of a plane, by slot and by cancel key, and how many have logged in of each user and in each database. */
export class ClientTable {
  readonly #region: Region
  readonly #sessions: (ClientSession | null)[]
  readonly #counts = { user: new Map<string, number>(), database: new Map<string, number>() }
  readonly #resting: LateSessions
  #begun = 0

  /** `region`: the client slots. `resting`: clients whose sessions begin when somebody asks for them. */
  constructor(region: Region, resting: LateSessions) {
    this.#region = region
    this.#resting = resting
    this.#sessions = new Array<ClientSession | null>(region.count).fill(null)
  }

  /** How many are connected, logged in or not. */
  get size(): number {
    return this.#begun + this.#resting.size
  }

  /** As of now: it may be changed meanwhile. */
  get all(): Iterable<ClientSession> {
    this.#resting.wakeAll()
    return this.begun
  }

  /** The same without those whose sessions nobody has needed so far. */
  get begun(): Iterable<ClientSession> {
    return this.#sessions.filter((session) => session !== null)
  }

  /** Everybody whose connection is open, as the keeper has to know them. */
  *open(): Generator<HeldClient> {
    yield* this.#resting.all
    for (const { slot, generation, link } of this.begun) {
      if (!link.closed) yield { slot, generation, fd: link.fd }
    }
  }

  /** All that are left are of the console; whoever has not logged in yet may be anybody. */
  get areOnlyConsole(): boolean {
    for (const { settings } of this.all) if ((settings.pins & PIN.console) === 0) return false
    return true
  }

  add(session: ClientSession): void {
    this.#sessions[session.slot] = session
    this.#begun++
  }

  remove(session: ClientSession): void {
    this.#sessions[session.slot] = null
    this.#begun--
  }

  /** Null when it is gone, whoever has its slot now. */
  find(slot: number, generation: number): ClientSession | null {
    const session = this.at(slot)
    return session?.generation === generation ? session : null
  }

  /** Who was told this process id at login. */
  findByProcessId(processId: number): ClientSession | null {
    const slot = (processId & 0xfffff) - 1
    const session = this.at(slot)
    return session && cancelProcessId(slot, session.generation) === processId ? session : null
  }

  /** Whom a cancel request means: process id and key as they were issued. Null when there is no such client. */
  findByCancelKey(processId: number, key: Buffer): ClientSession | null {
    const session = this.findByProcessId(processId)
    if (session === null) return null
    const { slot } = session
    const { bytes, i32, recordBytes } = this.#region
    const length = i32[slot * (recordBytes >> 2) + CLIENT.cancelKeyBytes] ?? 0
    if (length === 0 || length !== key.length) return null
    const at = slot * recordBytes + CLIENT_TEXT.cancelKey.offset
    return timingSafeEqual(bytes.subarray(at, at + length), key) ? session : null
  }

  /** Who has this slot now; one that rests is woken. */
  at(slot: number): ClientSession | null {
    if (this.#resting.size > 0) this.#resting.wake(slot)
    return this.#sessions[slot] ?? null
  }

  /** For how long the query of the client of this slot has run; −1: it asks nothing. */
  queryMs(slot: number, now: number): number {
    const since = this.#region.f64[slot * (this.#region.recordBytes >> 3) + CLIENT_F64.queryAt] ?? 0
    return since === 0 ? -1 : now - since
  }

  /** Adds the settings that any of them has or goes back to. */
  collectParameters(used: Set<ParameterSet>): void {
    for (const { settings } of this.all) {
      if (settings.parameters) used.add(settings.parameters)
      if (settings.values.initial) used.add(settings.values.initial)
    }
  }

  /** Sessions of this user, or in this database, that have logged in. */
  count(field: 'user' | 'database', name: string): number {
    return this.#counts[field].get(name) ?? 0
  }

  countLogin(session: Pick<ClientSession, 'user' | 'database'>, delta: 1 | -1): void {
    for (const field of ['user', 'database'] as const) {
      const count = this.count(field, session[field]) + delta
      if (count === 0) this.#counts[field].delete(session[field])
      else this.#counts[field].set(session[field], count)
    }
  }
}
